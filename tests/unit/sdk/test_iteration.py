from datetime import timedelta

import pytest

from resumable.sdk.iteration import Every, SaveRhythm


def rhythm_after(every: Every, *, turns: int, seconds: float) -> SaveRhythm:
    now = [0.0]
    rhythm = SaveRhythm(every, clock=lambda: now[0])
    for _ in range(turns):
        rhythm.turned()
    now[0] = seconds
    return rhythm


@pytest.mark.parametrize(
    ("every", "turns", "seconds", "due"),
    [
        ((500, "5s"), 499, 4.9, False),
        ((500, "5s"), 500, 0, True),
        ((500, "5s"), 1, 5, True),
        ((500, "5s"), 0, 60, False),
        (10, 9, 3600, False),
        (10, 10, 0, True),
        ("1m", 10_000, 59, False),
        (timedelta(minutes=1), 1, 60, True),
    ],
)
def test_is_due_after_so_many_turns_or_so_much_time(every: Every, turns: int, seconds: float, due: bool) -> None:
    assert rhythm_after(every, turns=turns, seconds=seconds).due is due


@pytest.mark.parametrize("wrong", [0, (0, "5s"), "5", (5, "x")])
def test_a_rhythm_that_is_none_is_refused(wrong: Every) -> None:
    with pytest.raises(ValueError, match=r"must be 1 or more|unit"):
        SaveRhythm(wrong)
