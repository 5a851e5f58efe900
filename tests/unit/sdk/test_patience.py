from collections.abc import Callable
from datetime import timedelta

import pytest

from resumable import Interrupted
from resumable.sdk.interruption import STORE_UNAVAILABLE, Interruption
from resumable.sdk.patience import Patience
from resumable.state.outcome import StoreRefused, StoreUnavailable


class Clock(Interruption):
    """Time that passes only in `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(timedelta(seconds=30), clock=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Patience:
    return Patience(clock, timedelta(minutes=15), clock=lambda: clock.now)


def away_until(clock: Clock, moment: float) -> Callable[[], str]:
    def call() -> str:
        if clock.now < moment:
            raise StoreUnavailable("connection refused")
        return "answer"

    return call


def test_a_store_that_comes_back_in_time_costs_only_time(patience: Patience, clock: Clock) -> None:
    assert patience.call(away_until(clock, 14 * 60)) == "answer"
    assert 14 * 60 <= clock.now < 14 * 60 + 6


def test_a_store_that_stays_away_ends_the_attempt_as_interrupted(patience: Patience, clock: Clock) -> None:
    with pytest.raises(Interrupted) as leaving:
        patience.call(away_until(clock, 3600))
    assert leaving.value.reason == STORE_UNAVAILABLE
    assert "connection refused" in str(leaving.value)
    assert 14 * 60 < clock.now <= 15 * 60


def test_once_asked_to_leave_it_waits_until_the_deadline_only(patience: Patience, clock: Clock) -> None:
    clock.ask("SIGTERM")
    with pytest.raises(Interrupted):
        patience.call(away_until(clock, 3600))
    assert 20 < clock.now <= 27


def test_what_is_not_worth_the_grace_is_given_up_at_once(patience: Patience, clock: Clock) -> None:
    clock.ask("SIGTERM")
    with pytest.raises(Interrupted):
        patience.call(away_until(clock, 3600), use_grace=False)
    assert clock.now == 0


def test_each_absence_is_counted_anew(patience: Patience, clock: Clock) -> None:
    for absence in range(1, 4):
        assert patience.call(away_until(clock, absence * 800)) == "answer"


def test_a_refusal_is_not_repeated(patience: Patience, clock: Clock) -> None:
    def refuse() -> None:
        raise StoreRefused("too large")

    with pytest.raises(StoreRefused):
        patience.call(refuse)
    assert clock.now == 0
