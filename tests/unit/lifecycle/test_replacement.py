"""Pods that don't answer."""

from resumable.lifecycle.decision import CountEnd, RequestStop
from resumable.state.record import EndKind, RunStatus
from tests.unit.lifecycle.builders import after, attempt, decided, job, pod, run, view

# The grace is 60 s (the template sets none), the patience before anybody speaks of it 30 s.
AFTER_FENCING = {"podReplacementPolicy": "AfterFencing", "unreachableNodeSeconds": 300}


def test_a_deleted_pod_has_its_grace() -> None:
    decision = decided(job(), view(run(), attempt()), pod(deleting_since=after()), now=after(seconds=60))
    assert (decision.actions, decision.conditions, decision.look_again) == ((), (), after(seconds=90))


def test_a_pod_that_does_not_end_is_told_of_and_waited_for() -> None:
    decision = decided(job(), view(run(), attempt()), pod(deleting_since=after()), now=after(days=1))
    assert decision.actions == ()
    [condition] = decision.conditions
    assert (condition.type, condition.status, condition.reason) == ("Running", None, "NodeUnreachable")
    assert "node n1 does not answer" in condition.message
    assert "AfterFencing" in condition.message


def test_after_fencing_waits_for_the_worker_to_notice_that_it_lost_contact() -> None:
    decision = decided(
        job(**AFTER_FENCING), view(run(), attempt()), pod(deleting_since=after()), now=after(seconds=120)
    )
    assert (decision.actions, decision.look_again) == ((), after(seconds=360))


def test_after_fencing_gives_a_silent_pod_up_and_keeps_it_until_it_ends() -> None:
    decision = decided(
        job(**AFTER_FENCING), view(run(), attempt()), pod(deleting_since=after()), now=after(seconds=360)
    )
    [count] = decision.actions
    assert isinstance(count, CountEnd)
    assert (count.end.kind, count.end.cause, count.end.to) == (
        EndKind.INTERRUPTION,
        "NodeLost",
        RunStatus.INTERRUPTED,
    )


def test_a_bound_pod_that_is_gone_is_not_replaced_but_told_of() -> None:
    record = view(run(stop_requested="NodeLost"), attempt())
    decision = decided(job(), record, now=after(days=1))
    assert decision.actions == ()
    assert [each.reason for each in decision.conditions] == ["PodLost"]


def test_a_pod_just_created_may_be_younger_than_the_list_of_pods() -> None:
    decision = decided(job(), view(run(), attempt()), now=after(seconds=5))
    assert (decision.actions, decision.look_again) == ((), after(seconds=30))


def test_a_process_that_may_still_live_is_asked_to_leave() -> None:
    decision = decided(job(), view(run(), attempt()), now=after(minutes=1))
    assert decision.actions == (RequestStop(1, "NodeLost"),)


def test_after_fencing_gives_a_pod_up_that_is_gone() -> None:
    record = view(run(stop_requested="NodeLost", updated=after(minutes=1)), attempt())
    assert decided(job(**AFTER_FENCING), record, now=after(minutes=6)).look_again == after(minutes=7)
    [count] = decided(job(**AFTER_FENCING), record, now=after(minutes=7)).actions
    assert isinstance(count, CountEnd)
    assert (count.end.cause, count.end.pod_name) == ("NodeLost", "import-r1")


def test_a_pod_that_is_gone_after_its_worker_ended_the_run_is_counted_at_once() -> None:
    [count] = decided(job(), view(run(RunStatus.SUCCEEDED, finished=after()), attempt())).actions
    assert isinstance(count, CountEnd)
    assert (count.end.kind, count.end.to) == (EndKind.COMPLETION, RunStatus.SUCCEEDED)


def test_a_cancelled_run_needs_no_successor_so_its_silent_pod_is_given_up_too() -> None:
    record = view(run(stop_requested="Cancelled"), attempt())
    silent = pod(deleting_since=after())
    [count] = decided(job(cancel=True), record, silent, now=after(seconds=360)).actions
    assert isinstance(count, CountEnd)
    assert count.end.to is RunStatus.CANCELLED


def test_whoever_sets_a_short_wait_gets_it() -> None:
    impatient = job(podReplacementPolicy="AfterFencing", unreachableNodeSeconds=5)
    record, silent = view(run(), attempt()), pod(deleting_since=after())
    assert decided(impatient, record, silent, now=after(seconds=60)).look_again == after(seconds=65)
    assert isinstance(decided(impatient, record, silent, now=after(seconds=65)).actions[0], CountEnd)
