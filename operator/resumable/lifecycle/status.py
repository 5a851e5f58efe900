"""The status of a job, made from its record and its pods."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from resumable.lifecycle.decision import Condition, Decision
from resumable.lifecycle.pod import Pod
from resumable.resource.job import ResumableJob
from resumable.state.record import RunView, StoreInfo


def status_of(
    job: ResumableJob,
    view: RunView | None,
    pods: Sequence[Pod],
    decision: Decision,
    *,
    now: datetime,
    store: StoreInfo,
    extra: Sequence[Condition] = (),
) -> dict[str, Any]:
    """The whole `status`, for a JSON merge patch: every field is there, None where there is nothing to say.

    `extra` are conditions that only the caller knows (`Accepted` from a dry-run create, a quota); they win over the
    derived ones. When the store did not answer there is nothing to derive: use `store_unreachable`.
    """
    raise NotImplementedError


def store_unreachable(job: ResumableJob, message: str, *, now: datetime) -> dict[str, Any]:
    """A partial `status` for a JSON merge patch: `StateStoreReachable` False, everything else as it was."""
    raise NotImplementedError
