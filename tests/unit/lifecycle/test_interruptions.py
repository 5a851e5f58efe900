"""The budget of interruptions."""

import pytest

from resumable.lifecycle.decision import CountEnd, Mint, Settle
from resumable.state.record import RunStatus
from tests.unit.lifecycle.builders import (
    after,
    attempt,
    between,
    decided,
    evicted,
    failed,
    interrupted,
    job,
    run,
    view,
)


def settled(decision) -> tuple[RunStatus, str]:
    [settle] = decision.actions
    assert isinstance(settle, Settle)
    return settle.to, settle.reason


def test_an_interrupted_attempt_is_followed_at_once() -> None:
    record = between(interrupted(1, begun=True), status=RunStatus.INTERRUPTED)
    assert isinstance(decided(job(), record).actions[0], Mint)


def test_progress_gives_the_budget_back() -> None:
    attempts = [interrupted(n, progressed=n == 3) for n in range(1, 7)]
    assert isinstance(decided(job(interruptions={"maxWithoutProgress": 3}), between(*attempts)).actions[0], Mint)


def test_too_many_without_progress_pause_the_run_even_when_failures_would_fail_it() -> None:
    attempts = [interrupted(n) for n in range(1, 5)]
    decision = decided(job(interruptions={"maxWithoutProgress": 3}), between(*attempts))
    assert settled(decision) == (RunStatus.PAUSED, "InterruptionsWithoutProgress")


def test_the_interruption_that_spends_it_pauses_the_run_when_it_is_counted() -> None:
    spec = job(interruptions={"maxWithoutProgress": 0})
    [count] = [a for a in decided(spec, view(run(), attempt()), evicted()).actions if isinstance(a, CountEnd)]
    assert (count.end.to, count.end.reason) == (RunStatus.PAUSED, "InterruptionsWithoutProgress")
    progressed = view(run(), attempt(progressed=True))
    [count] = [a for a in decided(spec, progressed, evicted()).actions if isinstance(a, CountEnd)]
    assert count.end.to is RunStatus.INTERRUPTED


def test_failures_between_them_neither_count_nor_help() -> None:
    attempts = [interrupted(1), failed(2), interrupted(3)]
    spec = {"interruptions": {"maxWithoutProgress": 1}, "backoff": {"initialSeconds": 1}}
    assert settled(decided(job(**spec), between(*attempts), now=after(minutes=1)))[0] is RunStatus.PAUSED


def test_max_bounds_all_of_them() -> None:
    attempts = [interrupted(n, progressed=True) for n in (1, 2)]
    assert settled(decided(job(interruptions={"max": 1}), between(*attempts))) == (
        RunStatus.PAUSED,
        "TooManyInterruptions",
    )


def test_by_exit_code_nothing_tells_of_progress_so_it_is_not_asked_for() -> None:
    attempts = [interrupted(n) for n in range(1, 9)]
    record = between(*attempts, status=RunStatus.INTERRUPTED)
    assert isinstance(decided(job(completion="ExitCode"), record).actions[0], Mint)


@pytest.mark.parametrize(("interruptions", "seconds"), [(1, 0), (2, 10), (3, 20)])
def test_only_a_series_that_never_begins_backs_off(interruptions, seconds) -> None:
    attempts = [interrupted(n, begun=False) for n in range(1, interruptions + 1)]
    decision = decided(job(), between(*attempts, status=RunStatus.INTERRUPTED))
    assert decision.next_attempt == (after(seconds=seconds) if seconds else None)
