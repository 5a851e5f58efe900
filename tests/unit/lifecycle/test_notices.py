"""Kubernetes Events: one for each transition."""

from resumable.lifecycle.pod import Blocked
from resumable.state.record import RunStatus
from tests.unit.lifecycle.builders import (
    after,
    attempt,
    between,
    decided,
    ended,
    evicted,
    failed,
    interrupted,
    job,
    pod,
    run,
    view,
)


def told(decision) -> list[tuple[str, str]]:
    return [(notice.type, notice.reason) for notice in decision.notices]


def test_the_first_attempt_and_the_later_ones_are_told_apart() -> None:
    assert told(decided(job(), between())) == [("Normal", "Started")]
    resumed = decided(job(), between(interrupted(1), status=RunStatus.INTERRUPTED))
    assert told(resumed) == [("Normal", "Resumed")]
    assert "attempt 2 starts in pod import-r2 after NodeLost" in resumed.notices[0].message


def test_an_interruption_is_normal_and_a_failure_a_warning() -> None:
    assert told(decided(job(), view(run(), attempt()), evicted())) == [("Normal", "Interrupted")]
    assert told(decided(job(), view(run(), attempt()), ended(1))) == [("Warning", "AttemptFailed")]


def test_the_end_of_the_run_is_told_with_the_attempt_that_brought_it() -> None:
    record = view(run(attempt=2), failed(1), attempt(2))
    assert told(decided(job(backoffLimit=1), record, ended(1, 2))) == [
        ("Warning", "AttemptFailed"),
        ("Warning", "Failed"),
    ]
    done = view(run(RunStatus.SUCCEEDED), attempt())
    assert told(decided(job(), done, ended(0))) == [("Normal", "Complete")]


def test_a_quiet_round_tells_nothing() -> None:
    assert told(decided(job(), view(run(), attempt()), pod())) == []
    assert told(decided(job(), between(failed(1)), now=after(seconds=1))) == []


def test_trouble_is_told_until_the_status_tells_it() -> None:
    stuck = pod(phase="Pending", blocked=Blocked("ErrImagePull", "no such image"))
    record = view(run(RunStatus.PENDING), attempt(begun=False))
    assert told(decided(job(), record, stuck)) == [("Warning", "ErrImagePull")]
    shown = {"conditions": [{"type": "Running", "status": "False", "reason": "ErrImagePull"}]}
    assert told(decided(job(status=shown), record, stuck)) == []


def test_an_event_stays_within_what_the_api_server_takes() -> None:
    [notice] = decided(job(), view(run(), attempt()), evicted(status_message="x" * 9000)).notices
    assert len(notice.message) <= 1024
