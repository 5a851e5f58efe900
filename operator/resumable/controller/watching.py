"""Watch ResumableJobs, their pods and signals; put the key of what changed on the queue, and nothing else.

kopf watches, reconnects and filters by label on the server's side. The first list is our own, before kopf starts:
nothing is decided before all jobs and all their pods are known. Later lists come at intervals, for what kopf can't tell
(see `cache`).
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import kopf

from resumable.controller.cache import Cache, JobKey, job_key, pod_key
from resumable.controller.kubernetes_api import ApiError, ApiUnavailable, KubernetesApi, NotFound, Object
from resumable.controller.signals import Signals
from resumable.resource import names

logger = logging.getLogger(__name__)

FIRST_RELIST = timedelta(
    seconds=15
)  # soon after kopf's own first list: what went between the two lists was told by neither
RELIST_INTERVAL = timedelta(minutes=5)
_FIRST_LIST_RETRY = timedelta(seconds=2)


class Watching:
    """Keeps the cache up to date and calls `enqueue` with the key of each job about which something changed."""

    def __init__(
        self,
        api: KubernetesApi,
        cache: Cache,
        enqueue: Callable[[JobKey], None],
        signals: Signals,
        namespaces: tuple[str, ...] = (),
    ) -> None:
        self._api = api
        self._cache = cache
        self._enqueue = enqueue
        self._signals = signals
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)

    def register(self, registry: kopf.OperatorRegistry) -> None:
        """Add our three handlers to kopf's."""
        kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)(self.job_event)
        kopf.on.event("v1", "pods", labels={names.LABEL_JOB_NAME: kopf.PRESENT}, registry=registry)(self.pod_event)

        kopf.on.event(names.GROUP, names.VERSION, names.SIGNAL_PLURAL, registry=registry)(self.signal_event)

    async def job_event(self, event: kopf.RawEvent, **_: Any) -> None:
        job: Object = dict(event["object"])
        if event["type"] == "DELETED":
            self._cache.forget_job(job)
        elif not self._cache.see_job(job):
            return
        self._enqueue(job_key(job))

    async def pod_event(self, event: kopf.RawEvent, **_: Any) -> None:
        pod: Object = dict(event["object"])
        if event["type"] == "DELETED":
            self._cache.forget_pod(pod)
        elif not self._cache.see_pod(pod):
            return
        self._enqueue(pod_key(pod))

    async def signal_event(self, event: kopf.RawEvent, **_: Any) -> None:
        signal: Object = dict(event["object"])
        if event["type"] == "DELETED":
            self._signals.forget(signal)
        else:
            self._signals.see(signal)

    async def first_list(self) -> None:
        """List everything; try until it works. The CRD or our permissions may be a moment younger than we are."""
        while True:
            try:
                await self.relist()
            except NotFound:
                logger.warning(
                    "the API server does not know %s or %s of %s (yet): are the CRDs installed?",
                    names.PLURAL,
                    names.SIGNAL_PLURAL,
                    names.GROUP,
                )
            except (ApiError, ApiUnavailable) as error:
                logger.warning("can't list jobs and pods (yet): %s", error)
            else:
                return
            await asyncio.sleep(_FIRST_LIST_RETRY.total_seconds())

    async def relist_at_intervals(self) -> None:
        delay = FIRST_RELIST
        while True:
            await asyncio.sleep(delay.total_seconds())
            try:
                await self.relist()
            except (ApiError, ApiUnavailable) as error:
                logger.warning("can't list jobs and pods: %s", error)
            delay = RELIST_INTERVAL

    async def relist(self) -> None:
        """Read everything, whole, and have the jobs looked at about which the watch did not tell."""
        self._cache.begin_listing()
        jobs = [await self._api.list_jobs(namespace) for namespace in self._namespaces]
        pods = [await self._api.list_pods(namespace) for namespace in self._namespaces]
        changed = self._cache.replace(
            [job for each in jobs for job in each["items"]],
            min(int(each["metadata"]["resourceVersion"]) for each in jobs),
            [pod for each in pods for pod in each["items"]],
            min(int(each["metadata"]["resourceVersion"]) for each in pods),
        )
        for key in changed:
            self._enqueue(key)
        for namespace in self._namespaces:  # after the jobs that they are for
            for signal in (await self._api.list_signals(namespace))["items"]:
                self._signals.see(signal)
