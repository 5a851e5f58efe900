"""Durations as people write them: "30s", "5m", "1h30m", "500ms", "3d"."""

import re
from datetime import timedelta
from functools import lru_cache

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")


@lru_cache(maxsize=256)
def _parse(text: str) -> timedelta:
    if not _WHOLE.fullmatch(text):
        raise ValueError(
            f'{text!r} is not a duration; write a number and a unit (ms, s, m, h, d, w), as in "30s" or "1h30m"'
        )
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def duration(value: str | timedelta) -> timedelta:
    """The duration that the text says; a timedelta stays as it is. `ValueError` for anything else: a bare number has
    no unit.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return _parse(value.strip().replace(" ", ""))
    raise ValueError(f'{value!r} is not a duration; write text with a unit, as in "30s", or a timedelta')


def checked_duration(value: str | timedelta, of: str, *, raises: type[Exception], or_zero: bool = False) -> timedelta:
    """An option's duration. `of` names the option in the message of `raises`. `or_zero`: it may be 0."""
    try:
        length = duration(value)
    except ValueError as error:
        raise raises(f"{of}: {error}") from None
    if length < timedelta(0) or (not or_zero and not length):
        allowed = "of 0 or more" if or_zero else "longer than 0"
        raise raises(f"{of} is a duration {allowed}, not {value!r}")
    return length


def milliseconds(length: timedelta) -> int:
    """As the store's calls take it: a part of a millisecond counts as one, so that nothing is due too early."""
    return max(0, -(-length // timedelta(milliseconds=1)))


def readable(seconds: float) -> str:
    """A duration for a log line: "0.42s", "3.2s", "4m12s", "2h05m"."""
    if seconds < 1:
        return f"{seconds:.2f}s"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"
