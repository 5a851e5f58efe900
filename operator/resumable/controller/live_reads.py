"""What must not be decided from a cache: read live from the API server, and compared with what was decided on.

A watch may be seconds behind. Before a second process could start, the job and the current attempt's pod must still be
what `decide` saw. If they aren't, the newer state goes into the cache and everything is decided again; nothing here
judges.
"""

from resumable.controller.cache import Cache, JobKey
from resumable.controller.kubernetes_api import KubernetesApi, NotFound
from resumable.controller.pod_snapshot import pod_snapshot
from resumable.lifecycle.pod import Pod
from resumable.resource.job import ResumableJob


class LiveReads:
    """GETs past the cache. All raise `ApiError`, `ApiUnavailable`."""

    def __init__(self, api: KubernetesApi, cache: Cache) -> None:
        self._api = api
        self._cache = cache

    async def job_is_as_decided(self, job: ResumableJob) -> bool:
        """Whether it has the same UID, is not being deleted, and its spec (so `suspend` as well) has not changed."""
        key = JobKey(job.namespace, job.name)
        try:
            live = await self._api.get_job(*key)
        except NotFound:
            if cached := self._cache.job(key):
                self._cache.forget_job(cached)
            return False
        self._cache.see_job(live)
        metadata = live["metadata"]
        deleting = metadata.get("deletionTimestamp") is not None
        return bool(metadata["uid"] == job.uid and metadata["generation"] == job.generation and not deleting)

    async def pod_is_as_decided(self, job: ResumableJob, pods: tuple[Pod, ...], attempt: int) -> bool:
        """Whether the pod `<job>-r<attempt>` still is what `decide` saw: terminal, lost, or not there at all."""
        decided = next((pod for pod in pods if pod.attempt == attempt), None)
        live = await self.pod(job, attempt)
        if live is None:
            if decided is None:
                return True
            if decided.terminal:  # counted, released and gone meanwhile
                return True
            self._cache.forget_pod_uid(JobKey(job.namespace, job.name), decided.uid)
            return False
        return live == decided or (live.terminal and decided is not None and live.uid == decided.uid)

    async def pod(self, job: ResumableJob, attempt: int) -> Pod | None:
        """The job's own pod of this attempt; None when there is none, or when the name is somebody else's."""
        try:
            live = await self._api.get_pod(job.namespace, job.pod_name(attempt))
        except NotFound:
            return None
        snapshot = pod_snapshot(live)
        if snapshot is None or snapshot.run_id != job.uid:
            return None
        self._cache.see_pod(live)
        return snapshot
