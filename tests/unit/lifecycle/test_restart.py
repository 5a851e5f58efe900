"""`spec.restart`: from any state, once for each request, and never beside a pod that still writes."""

import dataclasses

import pytest

from resumable.lifecycle import restart
from resumable.lifecycle.decision import CountEnd, CreatePod, DeletePod, Mint, RequestStop, Restart, Settle
from resumable.lifecycle.status import status_of
from resumable.state.record import EndKind, RunStatus, Step, StepRef, StepStatus
from resumable.state.store import Expected, RestartRequest
from tests.unit.lifecycle.builders import (
    NOON,
    STORE,
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

ASKED = {"requestID": "monday", "fromStep": {"name": "load", "key": "7"}, "forget": [{"name": "report"}]}
REQUEST = RestartRequest(request_id="monday", from_step=StepRef("load", "7"), forget=(StepRef("report"),))

BETWEEN = [each for each in RunStatus if each is not RunStatus.RUNNING]


@pytest.mark.parametrize("status", BETWEEN)
def test_between_attempts_the_run_is_restarted_from_any_state(status) -> None:
    record = between(interrupted(1), status=status)
    assert decided(job(restart=ASKED), record).actions == (Restart(Expected.of(record.run), REQUEST),)


@pytest.mark.parametrize("status", BETWEEN)
def test_a_request_that_was_carried_out_does_nothing_more(status) -> None:
    record = between(interrupted(1), status=status, restart_id="monday")
    assert not [each for each in decided(job(restart=ASKED), record).actions if isinstance(each, Restart)]


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.PAUSED, RunStatus.SUSPENDED])
def test_a_request_that_is_taken_away_does_nothing(status) -> None:
    record = between(interrupted(1), status=status, reason="StepFailed", restart_id="monday")
    assert not [each for each in decided(job(), record).actions if isinstance(each, Restart)]


def test_a_pod_that_runs_is_asked_to_leave_first() -> None:
    record = view(run(), attempt())
    assert decided(job(restart=ASKED), record, pod()).actions == (
        RequestStop(1, "Restart"),
        DeletePod("import-r1", "uid-1", "Restart"),
    )


def test_its_end_is_counted_before_the_restart_and_spends_nothing() -> None:
    record = view(run(stop_requested="Restart"), attempt())
    [count, _] = decided(job(restart=ASKED, backoffLimit=0), record, ended(75)).actions
    assert isinstance(count, CountEnd)
    assert (count.end.kind, count.end.cause, count.end.to) == (EndKind.REQUESTED, "Restart", RunStatus.INTERRUPTED)


def test_a_worker_that_finished_before_it_heard_of_it_is_counted_and_run_again() -> None:
    record = view(run(RunStatus.SUCCEEDED, stop_requested="Restart", finished=NOON), attempt())
    [count, _] = decided(job(restart=ASKED), record, ended(0)).actions
    assert count.end.to is RunStatus.SUCCEEDED
    [again] = decided(job(restart=ASKED), between(attempt(1, end_kind=EndKind.COMPLETION), status=count.end.to)).actions
    assert isinstance(again, Restart)


def test_an_attempt_that_is_minted_and_has_no_pod_gets_it_first_as_nobody_knows_whether_it_has_one() -> None:
    record = view(run(RunStatus.PENDING), attempt(bound=False, begun=False))
    assert decided(job(restart=ASKED), record).actions == (CreatePod(1),)


def test_a_restarted_run_starts_its_next_attempt() -> None:
    record = between(interrupted(1), status=RunStatus.PENDING, reason="Restarted", restart_id="monday", generation=2)
    decision = decided(job(restart=ASKED), record)
    assert [type(each) for each in decision.actions] == [Mint]
    assert decision.notices[0].message == "attempt 2 starts in pod import-r2 after Restarted"


def test_the_first_start_of_a_manifest_that_has_a_request_forgets_nothing() -> None:
    record = view(run(RunStatus.PENDING, attempt=0))
    expected = Restart(Expected.of(record.run), RestartRequest(request_id="monday"))
    assert decided(job(restart=ASKED), record).actions == (expected,)


def test_cancel_outranks_it() -> None:
    record = between(interrupted(1), status=RunStatus.CANCELLED)
    assert decided(job(restart=ASKED, cancel=True), record).actions == ()


def test_a_suspended_job_is_restarted_and_stays_suspended() -> None:
    record = between(interrupted(1), status=RunStatus.PENDING, restart_id="monday", generation=2)
    [settle] = decided(job(restart=ASKED, suspend=True), record).actions
    assert isinstance(settle, Settle)
    assert settle.to is RunStatus.SUSPENDED


class TestBudgets:
    """A restart gives the run new ones: they count the attempts of its generation."""

    @pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.INTERRUPTED])
    def test_failures_before_it_neither_end_the_run_nor_delay_it(self, status) -> None:
        record = between(failed(1), failed(2), failed(3), status=status, restart_id="monday", generation=2)
        assert [type(each) for each in decided(job(restart=ASKED, backoffLimit=0), record).actions] == [Mint]

    def test_interruptions_before_it_do_not_pause_the_run(self) -> None:
        record = between(*map(interrupted, (1, 2, 3)), status=RunStatus.PENDING, restart_id="monday", generation=2)
        spec = job(restart=ASKED, interruptions={"max": 1, "maxWithoutProgress": 1})
        assert [type(each) for each in decided(spec, record).actions] == [Mint]

    def test_failures_after_it_count(self) -> None:
        record = view(run(attempt=3, generation=2), failed(1), failed(2, generation=2), attempt(3, generation=2))
        [count, _] = decided(job(backoffLimit=1), record, ended(1, 3)).actions
        assert (count.end.to, count.end.reason) == (RunStatus.FAILED, "BackoffLimitExceeded")
        record = view(run(attempt=3, generation=2), failed(1), failed(2), attempt(3, generation=2))
        [count, _] = decided(job(backoffLimit=1), record, ended(1, 3)).actions
        assert count.end.to is RunStatus.PENDING

    def test_the_counters_tell_of_all_attempts(self) -> None:
        record = between(failed(1), failed(2), status=RunStatus.PENDING, generation=2)
        status = status_of(job(), record, [], decided(job(), record), now=NOON, store=STORE)
        assert status["counters"]["failures"] == 2


class TestAStepThatIsNotThere:
    STEPS = tuple(
        Step(name=name, key=key, status=StepStatus.DONE, attempt=1, ordinal=n)
        for n, (name, key) in enumerate([("load", "1"), ("load", "2"), ("report", "")])
    )

    @pytest.mark.parametrize(
        ("asked", "problem"),
        [
            ({}, ""),
            ({"fromStep": {"name": "load"}}, ""),
            ({"fromStep": {"name": "load", "key": "2"}}, ""),
            ({"fromStep": {"name": "report", "key": ""}}, ""),
            (
                {"fromStep": {"name": "lod"}},
                "spec.restart.fromStep: the run has no step 'lod'; its steps are load[1], load[2], report",
            ),
            (
                {"fromStep": {"name": "load", "key": "3"}},
                "spec.restart.fromStep: the run has no step 'load[3]'; its steps are load[1], load[2], report",
            ),
            (
                {"forget": [{"name": "report"}, {"name": "repot"}]},
                "spec.restart.forget[1]: the run has no step 'repot'; its steps are load[1], load[2], report",
            ),
        ],
        ids=str,
    )
    def test_is_named_beside_those_that_are(self, asked, problem) -> None:
        spec = job(restart={"requestID": "1", **asked}).spec.restart
        assert restart.problem_of(spec, run(), self.STEPS) == problem

    def test_changes_nothing_and_says_so(self) -> None:
        asked = dataclasses.replace(job(restart=ASKED), restart_problem="spec.restart.fromStep: the run has no step")
        record = view(run(), attempt())
        decision = decided(asked, record, pod())
        assert decision.actions == ()
        [notice] = decision.notices
        assert (notice.type, notice.reason) == ("Warning", "RestartStepNotFound")
        status = status_of(asked, record, [pod()], decision, now=NOON, store=STORE)
        [accepted] = [each for each in status["conditions"] if each["type"] == "Accepted"]
        assert (accepted["status"], accepted["reason"]) == ("False", "RestartStepNotFound")
        assert accepted["message"] == asked.restart_problem
        assert status["observedRestartID"] is None


def test_the_status_tells_which_request_was_carried_out() -> None:
    record = between(interrupted(1), status=RunStatus.PENDING, restart_id="monday")
    assert status_of(job(), record, [], decided(job(), record), now=NOON, store=STORE)["observedRestartID"] == "monday"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (ASKED, "the run starts again from step load[7] and without step report (request monday)"),
        ({"requestID": "1"}, "the run starts again with all that is stored (request 1)"),
    ],
)
def test_an_event_says_from_where(asked, message) -> None:
    [notice] = decided(job(restart=asked), between(interrupted(1), status=RunStatus.SUCCEEDED)).notices
    assert (notice.reason, notice.message) == ("Restarted", message)
