from datetime import timedelta

import pytest

from resumable.sdk.durations import duration, readable


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("3d", 259_200), ("1.5h", 5400), ("1h 30m", 5400)],
)
def test_reads_what_people_write(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("wrong", ["", "5", "5 minutes", "-5s", "m5", "5s!", 5, None])
def test_anything_else_is_refused_with_an_example(wrong: object) -> None:
    with pytest.raises(ValueError, match="unit"):
        duration(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "text"), [(0.42, "0.42s"), (3.21, "3.2s"), (252, "4m12s"), (7500, "2h05m")])
def test_is_shown_in_two_units_at_most(seconds: float, text: str) -> None:
    assert readable(seconds) == text
