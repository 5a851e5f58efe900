"""The store's clock of a test: it stands still, so that each case meets the same moments, until somebody moves it."""

import time
from datetime import UTC, datetime, timedelta

from resumable.sdk.durations import milliseconds


class StoreClock:
    """Milliseconds since 1970, as a store wants them."""

    def __init__(self) -> None:
        self._began = self._now = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self._now

    @property
    def now(self) -> datetime:
        """The moment that it shows."""
        return datetime.fromtimestamp(self._now / 1000, UTC)

    def advance(self, length: timedelta) -> None:
        """Move it on. `ValueError` when that would be back."""
        if length < timedelta(0):
            raise ValueError(f"time goes on, not back by {-length}")
        self._now += milliseconds(length)

    def wait_until(self, moment: datetime) -> None:
        """Move it on to the moment, unless that is over."""
        self._now = max(self._now, milliseconds(moment - datetime.fromtimestamp(0, UTC)))

    def set_beginning(self) -> None:
        """What it shows is where each case begins."""
        self._began = self._now

    def begin_again(self) -> None:
        """Back to where each case begins."""
        self._now = self._began
