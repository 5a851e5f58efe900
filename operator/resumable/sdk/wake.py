"""What ends a wait that needs no process: the first of several, when steps that run at the same time all wait."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from resumable.sdk.durations import milliseconds
from resumable.sdk.errors import Waiting
from resumable.state.store import RunEnd


def united(waiting: Sequence[Waiting], *, now: datetime | None = None) -> Waiting:
    """One wait for all: any of their signals ends it, and whatever is due first. `now` is the store's clock, for waits
    that are due at a moment while others are due after a time.
    """
    ends = [leaving.end for leaving in waiting if leaving.end is not None]
    if len(ends) < 2:
        return waiting[0]
    due = [end for end in ends if _after_ms(end, now) is not None]
    first = min(due, key=lambda end: _after_ms(end, now) or 0) if due else ends[0]
    message = f"{first.message} (and {len(ends) - 1} more)"
    names = {name for end in ends for name in end.wake_on}
    # The oldest: what came after it may be for the wait that looked then.
    sequence = min((end.signal_seq for end in ends if end.signal_seq is not None), default=None)
    end = msgspec.structs.replace(first, message=message, wake_on=tuple(sorted(names)), signal_seq=sequence)
    return Waiting(message, end=end)


def _after_ms(end: RunEnd, now: datetime | None) -> int | None:
    if end.wake_after_ms is not None:
        return end.wake_after_ms
    if end.wake_at is None:
        return None
    if now is None:
        raise ValueError("a wait that is due at a moment needs the store's clock to be compared with others")
    return milliseconds(end.wake_at - now)
