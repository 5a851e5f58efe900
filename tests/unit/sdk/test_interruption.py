from datetime import timedelta

import pytest

from resumable.sdk.errors import Fenced, Interrupted
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.interruption import Interruption, margin


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def interruption(clock: Clock) -> Interruption:
    return Interruption(timedelta(seconds=30), clock=clock)


@pytest.mark.parametrize(("grace", "kept"), [(0, 0), (5, 1), (10, 2), (30, 3), (600, 3)])
def test_a_little_of_the_grace_is_kept_for_leaving(grace: float, kept: float) -> None:
    assert margin(timedelta(seconds=grace)) == timedelta(seconds=kept)


def test_nothing_happens_unless_asked(interruption: Interruption) -> None:
    interruption.safe_point()
    assert not interruption.stopping
    assert interruption.remaining() is None
    assert interruption.last_moment() is None


def test_a_safe_point_leaves_once_asked(interruption: Interruption, clock: Clock) -> None:
    interruption.ask("SIGTERM")
    clock.now += 7
    assert interruption.remaining() == timedelta(seconds=20)
    with pytest.raises(Interrupted) as leaving:
        interruption.safe_point()
    assert leaving.value.reason == "SIGTERM"


def test_the_first_to_ask_sets_the_deadline(interruption: Interruption, clock: Clock) -> None:
    interruption.ask("Rollout")
    clock.now += 10
    interruption.ask("SIGTERM")
    assert interruption.last_moment() == 1027
    assert interruption.stop is not None
    assert interruption.stop.reason == "Rollout"


def test_a_lost_fence_overrides_what_was_asked_before(interruption: Interruption) -> None:
    interruption.ask("SIGTERM")
    interruption.fence("attempt 2 has taken over")
    assert interruption.stop is not None
    assert interruption.stop.exit_code is ExitCode.FENCED
    with pytest.raises(Fenced, match="attempt 2"):
        interruption.safe_point()


def test_what_was_swallowed_is_raised_again(interruption: Interruption) -> None:
    interruption.ask("SIGTERM")
    for _ in range(2):
        with pytest.raises(Interrupted):
            interruption.safe_point()
    with pytest.raises(Interrupted):
        interruption.raise_if_left()


def test_within_a_shield_no_safe_point_leaves(interruption: Interruption) -> None:
    interruption.ask("SIGTERM")
    with interruption.shield(timedelta(seconds=20)):
        interruption.safe_point()
    with pytest.raises(Interrupted):
        interruption.safe_point()


def test_a_shield_lasts_only_as_long_as_it_said(interruption: Interruption, clock: Clock) -> None:
    with interruption.shield(timedelta(seconds=20)):
        interruption.ask("SIGTERM")
        clock.now += 21
        with pytest.raises(Interrupted):
            interruption.safe_point()


def test_a_shield_may_use_up_the_margin_but_not_more_than_the_grace(interruption: Interruption, clock: Clock) -> None:
    interruption.ask("SIGTERM")
    clock.now += 9
    with interruption.shield(timedelta(seconds=20)):
        assert interruption.last_moment() == 1029
        with interruption.shield(timedelta(seconds=60)):
            assert interruption.last_moment() == 1030
    assert interruption.last_moment() == 1027
