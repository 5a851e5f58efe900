"""Kubernetes Events: what `kubectl describe` shows below the status, one for each transition of a run.

The same said again about the same job within a while becomes a count on the first one (`series`), as the API server
would otherwise keep every repetition for an hour.
"""

import asyncio
import logging
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from resumable.controller.kubernetes_api import ApiError, ApiUnavailable, KubernetesApi, NotFound, Object
from resumable.lifecycle.decision import Notice
from resumable.resource import names
from resumable.resource.job import ResumableJob

logger = logging.getLogger(__name__)

CONTROLLER = f"{names.GROUP}/controller"
_SERIES_SECONDS = 600
_SERIES_KEPT = 2048
_NOTE_LIMIT = 1000  # the API server's is 1 kB


@dataclass(slots=True)
class _Series:
    event_name: str
    count: int
    last: float  # monotonic


class Events:
    """Sends events in the background: an event that can't be sent is logged and lost, never waited for."""

    def __init__(self, api: KubernetesApi, *, instance: str = "") -> None:
        self._api = api
        self._instance = instance or os.environ.get("HOSTNAME") or "resumable-controller"
        self._series: OrderedDict[tuple[str, Notice], _Series] = OrderedDict()
        self._sending: set[asyncio.Task[None]] = set()

    def send(self, job: ResumableJob, notices: Sequence[Notice]) -> None:
        """Say these about the job."""
        for notice in notices:
            task = asyncio.create_task(self._send(job, notice))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def flush(self) -> None:
        """Wait for what is being sent."""
        if self._sending:
            await asyncio.wait(self._sending)

    async def _send(self, job: ResumableJob, notice: Notice) -> None:
        try:
            known = self._known((job.uid, notice))
            if known is None or not await self._repeat(job, known):
                await self._first(job, notice)
        except (ApiError, ApiUnavailable) as error:
            level = logging.DEBUG if "being terminated" in str(error) else logging.WARNING  # with its namespace
            logger.log(level, "%s/%s: the event %s was not sent: %s", job.namespace, job.name, notice.reason, error)

    async def _first(self, job: ResumableJob, notice: Notice) -> None:
        name = f"{job.name}.{secrets.token_hex(8)}"
        await self._api.create_event(
            job.namespace, event_manifest(job, notice, name, self._instance, datetime.now(UTC))
        )
        self._series[(job.uid, notice)] = _Series(name, 1, time.monotonic())
        while len(self._series) > _SERIES_KEPT:
            self._series.popitem(last=False)

    async def _repeat(self, job: ResumableJob, series: _Series) -> bool:
        series.count += 1
        series.last = time.monotonic()
        patch: Object = {"series": {"count": series.count, "lastObservedTime": _micro(datetime.now(UTC))}}
        try:
            await self._api.patch_event(job.namespace, series.event_name, patch)
        except NotFound:
            return False  # its hour is over
        return True

    def _known(self, key: tuple[str, Notice]) -> _Series | None:
        series = self._series.get(key)
        if series is None or time.monotonic() - series.last > _SERIES_SECONDS:
            return None
        return series


def event_manifest(job: ResumableJob, notice: Notice, name: str, instance: str, at: datetime) -> Object:
    """An `events.k8s.io/v1` Event about the job."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": job.namespace},
        "eventTime": _micro(at),
        "type": notice.type,
        "reason": notice.reason,
        "action": "Reconcile",
        "note": notice.message[:_NOTE_LIMIT],
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": job.namespace,
            "name": job.name,
            "uid": job.uid,
            "resourceVersion": job.resource_version,
        },
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
    }


def _micro(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
