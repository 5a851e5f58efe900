"""Write a job's status: only what changed, seldom, never backwards.

`status_of` (pure) says what the whole status is; here it is compared with the one that is there. Nothing changed: no
write. Only progress changed: at most one write a second. Anything else, a transition, is written at once.
"""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from resumable.controller.cache import Cache, JobKey
from resumable.controller.kubernetes_api import KubernetesApi, Object

# Fields that move while a step runs. A change of any other one is a transition.
_PROGRESS = frozenset({"progress", "steps", "summary", "lastCheckpointTime"})
_PROGRESS_INTERVAL = timedelta(seconds=1)


def status_patch(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> Object:
    """The JSON merge patch that makes `current` into `wanted`; {} when it is already so.

    A None in `wanted` removes the field.

    `attempt` may only grow: with a store that went back in time a lower number would hide that there was a higher one.
    """
    patch = _difference(current, wanted)
    if "attempt" in patch and (patch["attempt"] or 0) < (current.get("attempt") or 0):
        del patch["attempt"]
    return patch


def _difference(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> Object:
    patch: Object = {}
    for key, value in wanted.items():
        there = current.get(key)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            # In a merge patch what is left out stays; here `wanted` is the whole.
            inner = _difference(there, {**dict.fromkeys(there), **value})
            if inner:
                patch[key] = inner
        elif value != there:
            patch[key] = value
    return patch


class StatusWriter:
    """Patches `status`, each patch with the resourceVersion that it was made for."""

    def __init__(self, api: KubernetesApi, cache: Cache) -> None:
        self._api = api
        self._cache = cache
        self._written: dict[JobKey, float] = {}  # monotonic

    async def write(self, job: Object, wanted: Mapping[str, Any]) -> timedelta | None:
        """Write what changed. Returns after what time to come again when the write was put off, else None.

        Raises `Conflict` when the job changed since it was read, `NotFound` when it is gone.
        """
        patch = status_patch(job.get("status") or {}, wanted)
        if not patch:
            return None
        metadata = job["metadata"]
        key = JobKey(metadata["namespace"], metadata["name"])
        now = time.monotonic()
        if key in self._written and patch.keys() <= _PROGRESS:
            since = timedelta(seconds=now - self._written[key])
            if since < _PROGRESS_INTERVAL:
                return _PROGRESS_INTERVAL - since
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": patch}
        self._cache.see_job(await self._api.patch_job_status(*key, body))
        self._written[key] = now
        return None

    def forget(self, key: JobKey) -> None:
        """The job is gone."""
        self._written.pop(key, None)
