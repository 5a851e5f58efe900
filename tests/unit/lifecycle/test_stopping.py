"""Rollout, suspension, cancellation: a living attempt is asked to leave, and only then does the run change."""

import pytest

from resumable.lifecycle.decision import CountEnd, DeletePod, Mint, ReleasePod, RequestStop, Settle
from resumable.lifecycle.pod import Blocked
from resumable.state.record import RunStatus
from tests.unit.lifecycle.builders import (
    NEW_TEMPLATE,
    after,
    attempt,
    between,
    decided,
    ended,
    failed,
    interrupted,
    job,
    pod,
    run,
    view,
)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"suspend": True}, "Suspended"),
        ({"cancel": True}, "Cancelled"),
        ({"template": NEW_TEMPLATE}, "Rollout"),
        ({"cancel": True, "suspend": True, "template": NEW_TEMPLATE}, "Cancelled"),
        ({"suspend": True, "template": NEW_TEMPLATE}, "Suspended"),
    ],
)
class TestALivingAttempt:
    def test_is_asked_to_save_before_it_is_sent_sigterm(self, spec, reason) -> None:
        actions = decided(job(**spec), view(run(), attempt()), pod()).actions
        assert actions == (RequestStop(1, reason), DeletePod("import-r1", "uid-1", reason))

    def test_is_asked_once(self, spec, reason) -> None:
        record = view(run(stop_requested=reason), attempt())
        assert decided(job(**spec), record, pod(deleting_since=after(seconds=-1))).actions == ()

    def test_that_finished_first_stands(self, spec, reason) -> None:
        record = view(run(RunStatus.SUCCEEDED, stop_requested=reason, finished=after()), attempt())
        [count, _] = decided(job(**spec), record, ended(0)).actions
        assert count.end.to is RunStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("spec", "reason", "to"),
    [
        ({"suspend": True}, "Suspended", RunStatus.SUSPENDED),
        ({"cancel": True}, "Cancelled", RunStatus.CANCELLED),
        ({"template": NEW_TEMPLATE}, "Rollout", RunStatus.INTERRUPTED),
    ],
)
def test_the_run_changes_when_the_pod_is_terminal(spec, reason, to) -> None:
    record = view(run(stop_requested=reason), attempt())
    [count, release] = decided(job(**spec), record, ended(75, deleting_since=after(seconds=-5))).actions
    assert isinstance(count, CountEnd)
    assert (count.end.to, count.end.cause) == (to, reason)
    assert isinstance(release, ReleasePod)


def test_on_next_attempt_a_changed_template_leaves_the_running_one_alone() -> None:
    spec = job(template=NEW_TEMPLATE, updateStrategy="OnNextAttempt")
    assert decided(spec, view(run(), attempt()), pod()).actions == ()


@pytest.mark.parametrize("strategy", ["Restart", "OnNextAttempt"])
def test_a_pod_that_cannot_start_makes_room_for_a_changed_template(strategy) -> None:
    stuck = pod(phase="Pending", blocked=Blocked("ErrImageNeverPull"))
    spec = job(template=NEW_TEMPLATE, updateStrategy=strategy)
    record = view(run(RunStatus.PENDING), attempt(begun=False))
    assert [type(each) for each in decided(spec, record, stuck).actions] == [RequestStop, DeletePod]


def test_the_successor_of_a_pod_that_never_ran_has_a_new_number() -> None:
    gone = pod(phase="Pending", node="", deleting_since=after())
    record = view(run(RunStatus.PENDING, stop_requested="Rollout"), attempt(begun=False))
    [count, _] = decided(job(template=NEW_TEMPLATE), record, gone).actions
    assert (count.end.kind, count.end.to) == ("Requested", RunStatus.INTERRUPTED)
    counted = between(interrupted(1, begun=False), status=RunStatus.INTERRUPTED)
    [mint] = decided(job(template=NEW_TEMPLATE), counted).actions
    assert isinstance(mint, Mint)
    assert mint.attempt == 2


def test_resumed_before_the_pod_is_terminal_it_waits_for_that() -> None:
    record = view(run(stop_requested="Suspended"), attempt())
    assert decided(job(), record, pod(deleting_since=after(seconds=-1))).actions == ()


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.INTERRUPTED, RunStatus.WAITING, RunStatus.PAUSED])
@pytest.mark.parametrize(
    ("spec", "to"), [({"suspend": True}, RunStatus.SUSPENDED), ({"cancel": True}, RunStatus.CANCELLED)]
)
def test_without_a_pod_the_run_changes_at_once(status, spec, to) -> None:
    [settle] = decided(job(**spec), between(interrupted(1), status=status)).actions
    assert isinstance(settle, Settle)
    assert settle.to is to


def test_a_minted_attempt_without_a_pod_is_suspended_and_keeps_its_number() -> None:
    minted = attempt(bound=False, begun=False)
    [settle] = decided(job(suspend=True), view(run(RunStatus.PENDING), minted)).actions
    assert settle.to is RunStatus.SUSPENDED
    [settle] = decided(job(), view(run(RunStatus.SUSPENDED), minted)).actions
    assert settle.to is RunStatus.PENDING


def test_a_pod_that_turns_up_in_a_suspended_run_is_stopped() -> None:
    record = view(run(RunStatus.SUSPENDED), attempt())
    assert RequestStop(1, "Suspended") in decided(job(suspend=True), record, pod()).actions


def test_a_suspended_run_stays_so_and_goes_on_when_it_is_resumed() -> None:
    record = between(interrupted(1), status=RunStatus.SUSPENDED)
    assert decided(job(suspend=True), record).actions == ()
    [settle] = decided(job(), record).actions
    assert (settle.to, settle.reason) == (RunStatus.PENDING, "Resumed")


def test_a_paused_run_that_a_person_suspends_and_resumes_is_tried_again() -> None:
    paused = between(interrupted(1, progressed=True), status=RunStatus.PAUSED, reason="Rewound")
    assert decided(job(), paused).actions == ()
    [settle] = decided(job(suspend=True), paused).actions
    assert settle.to is RunStatus.SUSPENDED


def test_a_failure_while_suspending_within_the_budget_suspends() -> None:
    record = view(run(), attempt())
    [count, _] = decided(job(suspend=True), record, ended(1)).actions
    assert count.end.to is RunStatus.SUSPENDED


def test_suspension_does_not_hide_a_spent_budget() -> None:
    record = view(run(attempt=2), failed(1), attempt(2))
    [count, _] = decided(job(suspend=True, backoffLimit=1), record, ended(1, 2)).actions
    assert count.end.to is RunStatus.FAILED


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
@pytest.mark.parametrize("spec", [{}, {"suspend": True}, {"cancel": True}, {"template": NEW_TEMPLATE}])
def test_a_terminal_run_is_final(status, spec) -> None:
    assert decided(job(**spec), between(interrupted(1), status=status), now=after(days=9)).actions == ()
