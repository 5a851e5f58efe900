"""A deleted job: run, pods, state, resource, in this order."""

import pytest

from resumable.lifecycle.decision import (
    CountEnd,
    DeletePod,
    DeleteState,
    ReleaseJob,
    ReleasePod,
    RequestStop,
    Settle,
)
from resumable.state.record import RunStatus
from tests.unit.lifecycle.builders import (
    NOON,
    after,
    attempt,
    between,
    decided,
    ended,
    interrupted,
    job,
    pod,
    run,
    view,
)

RETAIN = {"stateRetentionPolicy": {"whenDeleted": "Retain"}}


def test_a_living_pod_is_asked_to_save_and_deleted() -> None:
    actions = decided(job(deleted=NOON), view(run(), attempt()), pod()).actions
    assert actions == (RequestStop(1, "ResourceDeleted"), DeletePod("import-r1", "uid-1", "ResourceDeleted"))


def test_the_job_waits_for_its_pod() -> None:
    record = view(run(stop_requested="ResourceDeleted"), attempt())
    decision = decided(job(deleted=NOON), record, pod(deleting_since=NOON))
    assert decision.actions == ()
    assert decision.look_again is not None


@pytest.mark.parametrize(("spec", "to"), [({}, RunStatus.CANCELLED), (RETAIN, RunStatus.SUSPENDED)])
def test_the_end_is_counted_and_closes_the_run(spec, to) -> None:
    record = view(run(stop_requested="ResourceDeleted"), attempt())
    [count, release] = decided(job(deleted=NOON, **spec), record, ended(75, deleting_since=NOON)).actions
    assert isinstance(count, CountEnd)
    assert (count.end.to, count.end.kind) == (to, "Requested")
    assert isinstance(release, ReleasePod)


def test_then_the_state_goes_and_the_job_is_let_go() -> None:
    assert decided(job(deleted=NOON), between(interrupted(1))).actions == (DeleteState(), ReleaseJob())


def test_retained_state_of_an_unfinished_run_is_suspended() -> None:
    [settle, release] = decided(job(deleted=NOON, **RETAIN), between(interrupted(1))).actions
    assert isinstance(settle, Settle)
    assert (settle.to, settle.reason) == (RunStatus.SUSPENDED, "ResourceDeleted")
    assert release == ReleaseJob()


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.SUSPENDED])
def test_retained_state_that_is_settled_stays_as_it_is(status) -> None:
    assert decided(job(deleted=NOON, **RETAIN), between(interrupted(1), status=status)).actions == (ReleaseJob(),)


def test_a_wrong_spec_does_not_lose_state_that_was_to_be_retained() -> None:
    wrong = job(deleted=NOON, template={}, **RETAIN)
    assert wrong.problem is not None
    assert DeleteState() not in decided(wrong, between(interrupted(1), status=RunStatus.SUSPENDED)).actions


def test_a_job_that_never_started_just_goes() -> None:
    assert decided(job(deleted=NOON), None).actions == (ReleaseJob(),)


def test_without_a_record_the_pods_go_first() -> None:
    assert decided(job(deleted=NOON), None, pod()).actions == (DeletePod("import-r1", "uid-1", "ResourceDeleted"),)
    assert decided(job(deleted=NOON), None, ended(1)).actions == (ReleasePod("import-r1", "uid-1"),)
    assert decided(job(deleted=NOON), None, ended(1, tracked=False)).actions == (ReleaseJob(),)


def test_a_node_that_does_not_answer_holds_it_up_only_so_long() -> None:
    record = view(run(stop_requested="ResourceDeleted"), attempt())
    silent = pod(deleting_since=NOON)
    waiting = decided(job(deleted=NOON), record, silent, now=after(minutes=5))
    assert (waiting.actions, waiting.look_again) == ((), after(minutes=6))
    late = after(minutes=6)
    [count, release] = decided(job(deleted=NOON), record, silent, now=late).actions
    assert isinstance(count, CountEnd)
    assert isinstance(release, ReleasePod)
    counted = between(interrupted(1), status=RunStatus.CANCELLED)
    released = pod(deleting_since=NOON, tracked=False)
    assert decided(job(deleted=NOON), counted, released, now=late).actions == (DeleteState(), ReleaseJob())


def test_pods_of_older_attempts_are_let_go_too() -> None:
    record = view(run(RunStatus.SUCCEEDED, attempt=2), interrupted(1), interrupted(2))
    actions = decided(job(deleted=NOON), record, ended(75, 1), ended(0, 2)).actions
    assert set(actions) == {ReleasePod("import-r1", "uid-1"), ReleasePod("import-r2", "uid-2")}


def test_a_lost_pod_of_a_running_attempt_does_not_hold_it_up() -> None:
    [count] = decided(job(deleted=NOON), view(run(), attempt())).actions
    assert isinstance(count, CountEnd)
    assert (count.end.cause, count.end.to) == ("NodeLost", RunStatus.CANCELLED)
