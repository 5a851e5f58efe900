"""How often a loop saves its cursor: after so many turns, or so much time, whichever comes first."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

from resumable.sdk.durations import duration

Every: TypeAlias = int | str | timedelta | tuple[int, str | timedelta]

DEFAULT_EVERY: Final[Every] = (500, "5s")


class SaveRhythm:
    """Counts turns and time since the last save."""

    def __init__(self, every: Every, *, clock: Callable[[], float] = time.monotonic) -> None:
        turns, time_between = (
            every if isinstance(every, tuple) else (every, None) if isinstance(every, int) else (None, every)
        )
        if turns is not None and turns < 1:
            raise ValueError(f"every={every!r}: a number of turns must be 1 or more")
        self._turns = turns
        self._seconds = None if time_between is None else duration(time_between).total_seconds()
        self._clock = clock
        self.pending = 0  # turns since the last save
        self._saved = clock()

    def turned(self) -> None:
        """One more turn is done."""
        self.pending += 1

    def saved(self) -> None:
        """All turns so far are saved."""
        self.pending = 0
        self._saved = self._clock()

    @property
    def due(self) -> bool:
        """Whether to save now."""
        if not self.pending:
            return False
        by_turns = self._turns is not None and self.pending >= self._turns
        return by_turns or (self._seconds is not None and self._clock() - self._saved >= self._seconds)
