"""A run that waits for a signal or a time: no pod, and the next one at the right moment."""

import pytest

from resumable.lifecycle.decision import CountEnd, DeletePod, Mint, ReleasePod, Restart, Settle
from resumable.lifecycle.pod import ContainerEnd
from resumable.lifecycle.pod_end import classify_end
from resumable.lifecycle.status import status_of
from resumable.resource.spec import Completion
from resumable.state.record import Attempt, EndKind, RunStatus, RunView, Step, StepStatus
from resumable.state.store import Expected
from tests.unit.lifecycle.builders import (
    NOON,
    STORE,
    after,
    attempt,
    between,
    decided,
    ended,
    evicted,
    interrupted,
    job,
    pod,
    run,
    view,
)

WAITING, PENDING, PAUSED = RunStatus.WAITING, RunStatus.PENDING, RunStatus.PAUSED


def waited(number: int = 1, **fields) -> Attempt:
    """An attempt that ended because the run waits."""
    return attempt(number, end_kind=EndKind.COMPLETION, written_end=WAITING, **fields)


def waits(*attempts: Attempt, **fields) -> RunView:
    return between(*(attempts or (waited(),)), status=WAITING, **fields)


def condition(record: RunView, kind: str, *pods) -> dict:
    decision = decided(job(), record, *pods)
    status = status_of(job(), record, pods, decision, now=NOON, store=STORE)
    return next(each for each in status["conditions"] if each["type"] == kind)


class TestBetweenAttempts:
    def test_a_run_that_waits_for_a_signal_alone_starts_nothing_and_needs_no_look(self) -> None:
        decision = decided(job(), waits(wake_on=("approval",)))
        assert (decision.actions, decision.look_again, decision.next_attempt) == ((), None, None)

    @pytest.mark.parametrize("wake_on", [(), ("approval",)], ids=["a sleep", "a wait with a timeout"])
    def test_until_its_moment_it_waits_for_that(self, wake_on) -> None:
        decision = decided(job(), waits(wake_on=wake_on, wake_at=after(hours=1)), now=after(minutes=59))
        assert decision.actions == ()
        assert decision.look_again == decision.next_attempt == after(hours=1)

    @pytest.mark.parametrize("late", [0, 3600], ids=["in time", "an operator that was away"])
    def test_at_its_moment_and_later_it_goes_on(self, late) -> None:
        record = waits(wake_at=after(hours=1))
        [settle] = decided(job(), record, now=after(hours=1, seconds=late)).actions
        assert settle == Settle(Expected.of(record.run), PENDING, "TimerDue", "it waited until 2026-01-01T13:00:00Z")

    @pytest.mark.parametrize("reason", ["TimerDue", "SignalReceived"])
    def test_what_ended_the_wait_is_followed_by_an_attempt_at_once(self, reason) -> None:
        record = between(waited(), status=PENDING, reason=reason)
        decision = decided(job(), record)
        assert decision.actions == (Mint(Expected.of(record.run)),)
        assert decision.notices[0].message == f"attempt 2 starts in pod import-r2 after {reason}"

    @pytest.mark.parametrize(
        ("spec", "to"), [({"suspend": True}, RunStatus.SUSPENDED), ({"cancel": True}, RunStatus.CANCELLED)]
    )
    def test_a_person_outranks_the_moment(self, spec, to) -> None:
        [settle] = decided(job(**spec), waits(wake_at=NOON), now=after(hours=1)).actions
        assert settle.to is to

    def test_a_job_with_a_wrong_spec_is_woken_but_not_started(self) -> None:
        wrong = job(template={})
        [settle] = decided(wrong, waits(wake_at=NOON)).actions
        assert settle.to is PENDING
        assert decided(wrong, between(waited(), status=PENDING, reason="TimerDue")).actions == ()


class TestTheEndOfAnAttemptThatWaits:
    @pytest.mark.parametrize("gone", [ended(76), ended(137), ended(0), evicted(76), ended(75, deleting_since=NOON)])
    def test_is_a_completion_whatever_became_of_its_pod(self, gone) -> None:
        record = view(run(WAITING, wake_on=("approval",)), attempt(written_end=WAITING))
        [count, release] = decided(job(), record, gone).actions
        assert isinstance(count, CountEnd)
        assert isinstance(release, ReleasePod)
        assert (count.end.kind, count.end.cause, count.end.to) == (EndKind.COMPLETION, "Waiting", WAITING)

    @pytest.mark.parametrize("gone", [ended(76), ended(137), ended(1), evicted(137)])
    def test_is_one_too_when_a_signal_came_while_it_was_leaving(self, gone) -> None:
        record = view(run(PENDING, reason="SignalReceived"), attempt(written_end=WAITING))
        [count, _] = decided(job(backoffLimit=0), record, gone).actions
        assert (count.end.kind, count.end.cause) == (EndKind.COMPLETION, "Waiting")
        assert (count.end.to, count.end.reason) == (PENDING, "SignalReceived")

    def test_no_pod_starts_beside_one_that_is_leaving(self) -> None:
        record = view(run(PENDING, reason="SignalReceived"), attempt(written_end=WAITING))
        assert not [each for each in decided(job(), record, pod()).actions if isinstance(each, Mint)]

    def test_a_pod_that_does_not_leave_is_deleted_after_a_while(self) -> None:
        record = view(run(WAITING, wake_on=("approval",)), attempt(written_end=WAITING))
        assert decided(job(), record, pod(), now=after(minutes=4)).look_again == after(minutes=5)
        [delete] = decided(job(), record, pod(), now=after(minutes=5)).actions
        assert isinstance(delete, DeletePod)

    def test_sidecars_of_a_worker_that_has_left_are_stopped_soon(self) -> None:
        record = view(run(WAITING, wake_on=("approval",)), attempt(written_end=WAITING))
        left = pod(end=ContainerEnd(76, finished=NOON))
        assert decided(job(), record, left).look_again == after(seconds=10)
        [delete] = decided(job(), record, left, now=after(seconds=10)).actions
        assert isinstance(delete, DeletePod)

    @pytest.mark.parametrize("status", [WAITING, PENDING], ids=["still waits", "a signal came"])
    def test_a_node_that_is_lost_meanwhile_does_not_keep_the_run_from_going_on(self, status) -> None:
        record = view(run(status, reason="SignalReceived", wake_on=("approval",)), attempt(written_end=WAITING))
        leaving = pod(deleting_since=NOON)
        late = after(seconds=60 + 30)  # its grace, and how slow a kubelet may be
        assert decided(job(), record, leaving).actions == ()
        assert decided(job(), record, leaving).look_again == late
        [count] = decided(job(), record, leaving, now=late).actions
        assert (count.end.kind, count.end.cause, count.end.to) == (EndKind.COMPLETION, "Waiting", status)

    def test_its_moment_is_waited_for_until_the_pod_has_left(self) -> None:
        record = view(run(WAITING, wake_at=NOON), attempt(written_end=WAITING))
        assert decided(job(), record, pod(), now=after(seconds=1)).actions == ()

    def test_a_pod_that_is_gone_is_counted_by_the_record(self) -> None:
        record = view(run(PENDING, reason="SignalReceived"), attempt(written_end=WAITING))
        [count] = decided(job(), record).actions
        assert (count.end.kind, count.end.to) == (EndKind.COMPLETION, PENDING)

    def test_a_manual_retry_that_paused_the_run_counts_as_one(self) -> None:
        record = view(run(PAUSED, reason="StepFailed"), attempt(written_end=PAUSED))
        [count, _] = decided(job(), record, ended(76)).actions
        assert (count.end.kind, count.end.cause, count.end.to) == (EndKind.COMPLETION, "StepFailed", PAUSED)

    def test_a_wait_that_is_not_on_record_is_an_interruption_as_no_signal_would_end_it(self) -> None:
        end = classify_end(ended(76), run())
        assert (end.kind, end.cause) == (EndKind.INTERRUPTION, "WaitNotRecorded")

    def test_without_the_sdk_76_is_an_exit_code_like_any_other(self) -> None:
        assert classify_end(ended(76), run(), Completion.EXIT_CODE).kind is EndKind.FAILURE


class TestBudgets:
    def test_waits_spend_none(self) -> None:
        record = between(*(waited(number) for number in range(1, 20)), status=PENDING, reason="TimerDue")
        strict = job(backoffLimit=0, interruptions={"max": 0, "maxWithoutProgress": 0})
        assert [type(each) for each in decided(strict, record).actions] == [Mint]

    def test_a_wait_that_ended_is_progress_as_its_step_is_done(self) -> None:
        row = [interrupted(1), waited(2), interrupted(3, progressed=True), interrupted(4)]
        spec = job(interruptions={"maxWithoutProgress": 1})
        assert [type(each) for each in decided(spec, between(*row, status=RunStatus.INTERRUPTED)).actions] == [Mint]

    def test_leaving_to_wait_is_none_by_itself(self) -> None:
        row = [interrupted(1), waited(2), interrupted(3)]
        [settle] = decided(
            job(interruptions={"maxWithoutProgress": 1}), between(*row, status=RunStatus.INTERRUPTED)
        ).actions
        assert (settle.to, settle.reason) == (PAUSED, "InterruptionsWithoutProgress")


class TestWhatPeopleAreTold:
    @pytest.mark.parametrize(
        ("fields", "reason", "message"),
        [
            (
                {"reason": "SignalWait", "wake_on": ("approval",)},
                "SignalWait",
                "waits for the signal approval",
            ),
            (
                {"wake_on": ("approval",), "wake_at": after(days=3)},
                "SignalWait",
                "waits for the signal approval, until 2026-01-04T12:00:00Z at the longest",
            ),
            (
                {"wake_on": ("approval", "refusal")},
                "SignalWait",
                "waits for one of the signals approval, refusal",
            ),
            ({"wake_at": after(hours=1)}, "TimerWait", "waits until 2026-01-01T13:00:00Z"),
            (
                {"reason": "RetryBackOff", "wake_at": after(minutes=5), "message": "step ship[3]: OSError: no route"},
                "RetryBackOff",
                "waits until 2026-01-01T12:05:00Z: step ship[3]: OSError: no route",
            ),
            (
                {
                    "reason": "SignalWait",
                    "wake_on": ("approval",),
                    "message": "step ask[7] waits for it",
                },
                "SignalWait",
                "step ask[7] waits for it",
            ),
            ({}, "TimerWait", "waits for no signal and no time: only spec.restart or spec.cancel ends it"),
        ],
    )
    def test_the_condition_names_what_is_waited_for_and_until_when(self, fields, reason, message) -> None:
        found = condition(waits(**fields), "Waiting")
        assert (found["status"], found["reason"], found["message"]) == ("True", reason, message)
        running = condition(waits(**fields), "Running")
        assert (running["status"], running["reason"], running["message"]) == ("False", "Waiting", message)

    def test_the_phase_the_moment_and_the_step_are_in_the_status(self) -> None:
        step = Step(name="approval", status=StepStatus.STARTED, attempt=1, started=NOON, deadline=after(days=3))
        record = view(run(WAITING, wake_on=("approval",), wake_at=after(days=3)), waited(), steps=(step,))
        status = status_of(job(), record, [], decided(job(), record), now=NOON, store=STORE)
        assert (status["phase"], status["nextAttemptTime"]) == ("Waiting", "2026-01-04T12:00:00Z")
        assert status["steps"][0]["state"] == "Waiting"
        assert status["summary"] == [
            "STEP      STATE    TRIES  STARTED (UTC)  TOOK  NOTE",
            "approval  Waiting  1      12:00:00       -     for the signal until 2026-01-04 12:00:00",
            "",
            "ATTEMPT  POD        NODE  EXIT  RAN  LOST  ENDED BY",
            "1        import-r1  n1    -     0s   0s    NodeLost",
        ]

    def test_a_failed_step_says_when_it_is_tried_again(self) -> None:
        step = Step(name="ship", status=StepStatus.FAILED, attempt=1, error="OSError: no", retry_at=after(minutes=5))
        record = view(run(WAITING, wake_at=after(minutes=5)), waited(), steps=(step,))
        status = status_of(job(), record, [], decided(job(), record), now=NOON, store=STORE)
        assert status["steps"][0]["message"] == "OSError: no, next try 2026-01-01 12:05:00"

    def test_an_event_says_that_no_pod_is_kept(self) -> None:
        record = view(run(WAITING, wake_on=("approval",)), attempt(written_end=WAITING))
        [notice] = decided(job(), record, ended(76)).notices
        assert (notice.type, notice.reason) == ("Normal", "Waiting")
        assert notice.message == "no pod is kept while it waits: waits for the signal approval"

    def test_the_condition_turns_false_with_what_ended_the_wait(self) -> None:
        told = {"conditions": [{"type": "Waiting", "status": "True", "reason": "SignalWait"}]}
        record = between(waited(), status=PENDING, reason="SignalReceived")
        decision = decided(job(status=told), record)
        status = status_of(job(status=told), record, [], decision, now=NOON, store=STORE)
        [found] = [each for each in status["conditions"] if each["type"] == "Waiting"]
        assert (found["status"], found["reason"]) == ("False", "SignalReceived")


def test_a_restart_ends_a_wait() -> None:
    [action] = decided(job(restart={"requestID": "1"}), waits(wake_on=("approval",))).actions
    assert isinstance(action, Restart)
