"""What one decision is made from, and the order in which it is read."""

import asyncio
import dataclasses
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from resumable.controller.cache import Cache, JobKey
from resumable.controller.dry_run import Refusal, TemplateVerdicts
from resumable.controller.kubernetes_api import KubernetesApi, Object
from resumable.controller.live_reads import LiveReads
from resumable.lifecycle import restart
from resumable.lifecycle.pod import Pod
from resumable.resource.invalid import InvalidSpec
from resumable.resource.job import ResumableJob, read_job
from resumable.resource.spec import RestartSpec
from resumable.state.outcome import StoreError
from resumable.state.record import RunView, StoreInfo
from resumable.state.store import Store

_STORE_INFO_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job, its pods and its record, read in this order: a worker that ends in between is seen as ended."""

    key: JobKey
    manifest: Object  # the job as the API server gave it
    job: ResumableJob
    pods: tuple[Pod, ...]
    view: RunView | None
    store: StoreInfo | None  # None: it is away, and a person said that it does not matter (`abandons_state`)
    refusal: Refusal | None = None  # of the template, by the API server

    @property
    def now(self) -> datetime:
        """The store's clock, as only that says what is due."""
        if self.view:
            return self.view.now
        return self.store.now if self.store else datetime.now(UTC)


class SnapshotReader:
    """Reads snapshots. Raises `StoreError`, `ApiError`, `ApiUnavailable`."""

    def __init__(self, api: KubernetesApi, store: Store, cache: Cache, verdicts: TemplateVerdicts) -> None:
        self._store = store
        self._cache = cache
        self._live = LiveReads(api, cache)
        self._verdicts = verdicts
        self._restarts: dict[str, tuple[RestartSpec, int, str]] = {}  # by run: the request, the steps, what is wrong
        self._info: StoreInfo | None = None
        self._info_read = 0.0

    async def read(self, key: JobKey, manifest: Object) -> Snapshot:
        """The snapshot of this job."""
        job = read_job(manifest)
        refusal = None
        if job.problem is None and job.deleting_since is None:
            refusal = await self._verdicts.of_job(job)
            if refusal:
                job = dataclasses.replace(job, problem=InvalidSpec("spec.template", refusal.message))
        while True:
            pods = tuple(pod for pod in self._cache.pods(key) if pod.run_id == job.uid)
            try:
                view = await asyncio.to_thread(self._store.view, job.uid)
                info = await self._store_info()
            except StoreError:
                if job.deleting_since is None or not job.abandons_state:
                    raise
                view = info = None
            if view is None or not await self._missed(job, pods, view):
                job = await self._with_restart_checked(job, view)
                return Snapshot(key, manifest, job, pods, view, info, refusal)

    async def _with_restart_checked(self, job: ResumableJob, view: RunView | None) -> ResumableJob:
        """Look the steps up that a new `spec.restart` names, before anything is stopped for it."""
        if view is None or job.spec.restart is None or not restart.is_new(job, view.run):
            self._restarts.pop(job.uid, None)
            return job
        asked, total = job.spec.restart, view.steps_total
        known = self._restarts.get(job.uid)
        if known is None or known[:2] != (asked, total):  # the run may have thousands of steps, and is looked at often
            whole = await asyncio.to_thread(lambda: self._store.view(job.uid, steps=total))
            known = asked, total, restart.problem_of(asked, view.run, whole.steps if whole else ())
            self._restarts[job.uid] = known
        return dataclasses.replace(job, restart_problem=known[2])

    async def _missed(self, job: ResumableJob, pods: tuple[Pod, ...], view: RunView) -> bool:
        """Whether the current attempt's pod is there although the cache has not heard of it.

        A lost pod is never taken from the cache.
        """
        current = next((each for each in view.attempts if each.number == view.run.attempt), None)
        if current is None or not current.pod_uid or current.ended or any(pod.uid == current.pod_uid for pod in pods):
            return False
        found = await self._live.pod(job, current.number)
        return found is not None and found.uid == current.pod_uid

    async def _store_info(self) -> StoreInfo:
        if self._info is None or time.monotonic() - self._info_read > _STORE_INFO_SECONDS:
            self._info = await asyncio.to_thread(self._store.info)
            self._info_read = time.monotonic()
        return self._info
