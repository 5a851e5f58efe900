"""The budget of failures: `spec.backoffLimit`, as in batch/v1 Job, and what happens when it is spent.

More than `backoffLimit` failures end the run (or pause it: `whenExhausted`). All of them count, progress gives none
back; the *delay* before the next attempt counts only those in a row since the last progress (see `backoff`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from resumable.lifecycle.backoff import Backoff, next_attempt_at
from resumable.lifecycle.counters import count, without_progress
from resumable.lifecycle.exhausted import BACKOFF_LIMIT, Exhausted
from resumable.resource.spec import Spec, WhenExhausted
from resumable.state.record import Attempt, EndKind, RunStatus


def exhausted(spec: Spec, attempts: Sequence[Attempt]) -> Exhausted | None:
    """Whether the failures of these attempts are too many, and what follows."""
    failures = count(attempts).failures
    if failures <= spec.backoff_limit:
        return None
    last = max((each for each in attempts if each.end_kind is EndKind.FAILURE), key=lambda each: each.number)
    why = (
        f"{failures} failed attempts are more than spec.backoffLimit {spec.backoff_limit}; "
        f"the last, attempt {last.number}, ended by {last.cause}" + (f": {last.message}" if last.message else "")
    )
    if spec.when_exhausted is WhenExhausted.PAUSE:
        return Exhausted(RunStatus.PAUSED, BACKOFF_LIMIT, f"{why}. Raise backoffLimit to go on")
    return Exhausted(RunStatus.FAILED, BACKOFF_LIMIT, why)


def retry_at(spec: Spec, attempts: Sequence[Attempt]) -> datetime | None:
    """When the next attempt may start after the failures so far; None: they don't hold it back."""
    row = without_progress(attempts, EndKind.FAILURE)
    return next_attempt_at(backoff_of(spec), len(row), row[0].ended if row else None)


def backoff_of(spec: Spec) -> Backoff:
    """`spec.backoff` as durations."""
    return Backoff(timedelta(seconds=spec.backoff.initial_seconds), timedelta(seconds=spec.backoff.max_seconds))
