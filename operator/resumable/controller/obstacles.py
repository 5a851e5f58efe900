"""Why a pod can't be created just now, and when it is tried again. No number is spent on an attempt meanwhile."""

import time
from dataclasses import dataclass
from datetime import timedelta

from resumable.lifecycle.decision import Condition
from resumable.resource.job import ResumableJob

_FIRST_RETRY = timedelta(seconds=1)
_LAST_RETRY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something outside the job: a full quota, a webhook, a pod name that somebody else uses."""

    reason: str
    message: str
    generation: int  # a changed spec is tried at once
    times: int
    retry_at: float  # monotonic

    @property
    def condition(self) -> Condition:
        """For the job's status."""
        return Condition("Running", False, self.reason, self.message)


class Obstacles:
    """The obstacles of all jobs, by the job's UID. Kept in memory only: after a restart each is simply met again."""

    def __init__(self) -> None:
        self._known: dict[str, Obstacle] = {}

    def of(self, job: ResumableJob) -> Obstacle | None:
        return self._known.get(job.uid)

    def wait(self, job: ResumableJob) -> timedelta | None:
        """How long to wait before the next try; None: try now."""
        known = self._known.get(job.uid)
        if known is None or known.generation != job.generation:
            return None
        left = known.retry_at - time.monotonic()
        return timedelta(seconds=left) if left > 0 else None

    def met(self, job: ResumableJob, reason: str, message: str) -> bool:
        """It was tried and did not work. Returns whether this is news."""
        known = self._known.get(job.uid)
        times = known.times + 1 if known and known.generation == job.generation else 1
        delay = min(_FIRST_RETRY * (1 << min(times - 1, 10)), _LAST_RETRY)
        retry_at = time.monotonic() + delay.total_seconds()
        self._known[job.uid] = Obstacle(reason, message, job.generation, times, retry_at)
        return known is None or known.reason != reason

    def cleared(self, uid: str) -> None:
        """It worked, or the job is gone."""
        self._known.pop(uid, None)
