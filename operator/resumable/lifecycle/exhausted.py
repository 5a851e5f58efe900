"""A budget that is spent: what becomes of the run, and why."""

from dataclasses import dataclass

from resumable.state.record import RunStatus


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A spent budget. `to` Paused: the run goes on when the limit is raised."""

    to: RunStatus
    reason: str
    message: str


BACKOFF_LIMIT = "BackoffLimitExceeded"
INTERRUPTIONS = "TooManyInterruptions"
NO_PROGRESS = "InterruptionsWithoutProgress"

# Pauses by a budget, as against those that a worker wrote: they end when the budget says so.
REASONS = frozenset({BACKOFF_LIMIT, INTERRUPTIONS, NO_PROGRESS})
