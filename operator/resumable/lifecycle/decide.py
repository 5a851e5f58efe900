"""What to do about one job, from one snapshot of it."""

from collections.abc import Sequence
from datetime import datetime

from resumable.lifecycle.decision import Decision
from resumable.lifecycle.pod import Pod
from resumable.resource.job import ResumableJob
from resumable.state.record import RunView


def decide(
    job: ResumableJob, view: RunView | None, pods: Sequence[Pod], now: datetime, *, store_uuid: str = ""
) -> Decision:
    """What to do now about this job.

    `view` is the run's record; None: the store has none (not: the store did not answer, then there is nothing to decide).
    `pods` are all pods of this run, read *before* the view. `now` is the store's clock (`view.now` where there is a
    view). `store_uuid` is `StoreInfo.uuid`.
    """
    raise NotImplementedError
