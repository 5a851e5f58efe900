"""The failure budget: `backoffLimit`, `backoff`, `whenExhausted`."""

from datetime import timedelta

import pytest

from resumable.lifecycle.decision import CountEnd, Mint, ReleasePod, Settle
from resumable.state.record import RunStatus, Step, StepStatus
from resumable.state.store import Expected
from tests.unit.lifecycle.builders import (
    NOON,
    after,
    attempt,
    between,
    decided,
    ended,
    evicted,
    failed,
    interrupted,
    job,
    run,
    view,
)


def counted(decision) -> tuple[RunStatus, str]:
    [count] = [action for action in decision.actions if isinstance(action, CountEnd)]
    return count.end.to, count.end.reason


def test_a_failed_attempt_is_counted_then_released_and_backs_off() -> None:
    decision = decided(job(), view(run(), attempt()), ended(1))
    assert [type(action) for action in decision.actions] == [CountEnd, ReleasePod]
    assert counted(decision) == (RunStatus.PENDING, "BackOff")


def test_a_failure_without_words_gets_those_of_the_step_that_failed() -> None:
    step = Step(name="load", key="7", status=StepStatus.FAILED, attempt=1, error="OSError: disk full")
    [count, _] = decided(job(), view(run(), attempt(), steps=(step,)), ended(1)).actions
    assert count.end.message == "step load[7]: OSError: disk full"


def test_the_next_attempt_waits_for_the_back_off() -> None:
    decision = decided(job(), between(failed(1)), now=after(seconds=9))
    assert decision.actions == ()
    assert decision.look_again == decision.next_attempt == after(seconds=10)


def test_after_the_back_off_the_next_attempt_is_minted() -> None:
    record = between(failed(1))
    assert decided(job(), record, now=after(seconds=10)).actions == (Mint(Expected.of(record.run)),)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [
        ([failed(1), failed(2), failed(3)], 40),
        ([failed(1), failed(2, progressed=True)], 10),  # it failed once since its progress
        ([failed(1), failed(2, progressed=True), failed(3)], 20),
        ([failed(1), failed(2), interrupted(3)], 20),  # an interruption neither adds nor takes away
        ([failed(1), failed(2), interrupted(3, progressed=True)], 0),
    ],
)
def test_the_delay_counts_failures_in_a_row_since_progress(attempts, seconds) -> None:
    decision = decided(job(), between(*attempts))
    assert decision.next_attempt == (NOON + timedelta(seconds=seconds) if seconds else None)


@pytest.mark.parametrize(
    ("when", "to"), [("Fail", RunStatus.FAILED), ("Pause", RunStatus.PAUSED)], ids=["Fail", "Pause"]
)
def test_one_failure_more_than_the_limit_ends_the_run(when, to) -> None:
    spec = job(backoffLimit=2, whenExhausted=when)
    record = view(run(attempt=3), failed(1, progressed=True), failed(2, progressed=True), attempt(3))
    assert counted(decided(spec, record, ended(1, number=3))) == (to, "BackoffLimitExceeded")


def test_as_many_failures_as_the_limit_are_allowed() -> None:
    record = view(run(attempt=2), failed(1), attempt(2))
    assert counted(decided(job(backoffLimit=2), record, ended(1, number=2))) == (RunStatus.PENDING, "BackOff")


def test_an_interruption_never_spends_the_failure_budget() -> None:
    record = view(run(attempt=2), failed(1), attempt(2))
    decision = decided(job(backoffLimit=1), record, evicted(1, number=2))
    assert counted(decision) == (RunStatus.INTERRUPTED, "EvictionByEvictionAPI")


def test_a_pause_ends_when_the_limit_is_raised() -> None:
    record = between(failed(1), failed(2), status=RunStatus.PAUSED, reason="BackoffLimitExceeded")
    assert decided(job(backoffLimit=1, whenExhausted="Pause"), record).actions == ()
    [settle] = decided(job(backoffLimit=2, whenExhausted="Pause"), record).actions
    assert isinstance(settle, Settle)
    assert settle.to is RunStatus.PENDING


def test_a_lowered_limit_counts_between_attempts() -> None:
    [settle] = decided(job(backoffLimit=0), between(failed(1))).actions
    assert isinstance(settle, Settle)
    assert (settle.to, settle.reason) == (RunStatus.FAILED, "BackoffLimitExceeded")
    assert "the last, attempt 1, ended by Error" in settle.message


def test_a_failed_run_stays_failed() -> None:
    record = between(failed(1), status=RunStatus.FAILED, reason="BackoffLimitExceeded")
    assert decided(job(backoffLimit=9), record, now=after(days=1)).actions == ()
