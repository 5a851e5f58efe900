"""How long to wait before the next attempt after a failure.

Doubles from `initial` up to `maximum`, as batch/v1 Job does, but counts only failures in a row: an interruption is
retried at once, and progress starts the row anew. The moment is computed from the end of the failed attempt, which the
store recorded, so that an operator that was away neither waits again nor hurries.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """`spec.backoff`, with durations instead of seconds."""

    initial: timedelta = timedelta(seconds=10)
    maximum: timedelta = timedelta(minutes=10)

    def delay(self, failures: int) -> timedelta:
        """The wait after the given number of failures in a row (at least 1)."""
        doublings = min(failures - 1, 30)  # 2**30 s is past any maximum, and timedelta overflows beyond
        return min(self.initial * (1 << doublings), self.maximum)


def next_attempt_at(backoff: Backoff, failures: int, last_failure: datetime | None) -> datetime | None:
    """When the next attempt may start; None: now."""
    if last_failure is None or failures == 0:
        return None
    return last_failure + backoff.delay(failures)
