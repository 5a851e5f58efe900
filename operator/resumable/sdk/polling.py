"""Looking again and again until something is so. The logic is a generator that yields the pauses; a plain caller
sleeps them in its thread, an async one in its event loop.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeAlias, TypeVar

from resumable.sdk.durations import duration

T = TypeVar("T")

Polling: TypeAlias = Generator[float, None, T]
Timeout: TypeAlias = float | str | timedelta | None

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0


class Pauses:
    """From 20 ms to a second, each half as long again as the last, until the time is over."""

    def __init__(self, timeout: Timeout) -> None:
        seconds = timeout if isinstance(timeout, int | float) or timeout is None else duration(timeout).total_seconds()
        self.timeout = seconds
        self._end = None if seconds is None else time.monotonic() + seconds
        self._pause = _FIRST_PAUSE

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self._end is not None and time.monotonic() >= self._end

    def next(self) -> float:
        """How long to wait before the next look."""
        pause, self._pause = self._pause, min(self._pause * 1.5, _LONGEST_PAUSE)
        return pause if self._end is None else max(0.0, min(pause, self._end - time.monotonic()))


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What was waited for."""

    value: T


def look(polling: Polling[T]) -> float | Found[T]:
    """One look: what was found, or the pause before the next."""
    try:
        return next(polling)
    except StopIteration as end:
        return Found(end.value)


def wait(polling: Polling[T]) -> T:
    """Look until it is found; sleeps in this thread."""
    while not isinstance(found := look(polling), Found):
        time.sleep(found)
    return found.value
