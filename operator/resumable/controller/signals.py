"""ResumableSignals: each is sent to its job's run, once, and says in its status what became of it.

The run's record takes a signal by its id, so sending it again, after a crash or by two controllers, is the same
signal. Whether and when it wakes the run is decided in the store; here the job is only looked at again at once.
A signal that was made before its job waits for it. Only unsettled signals are kept in memory.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, assert_never

from resumable.controller.cache import Cache, JobKey
from resumable.controller.kubernetes_api import KubernetesApi, NotFound, Object
from resumable.controller.queue import WorkQueue
from resumable.lifecycle.conditions import timestamp
from resumable.lifecycle.decision import Condition
from resumable.resource import names
from resumable.resource.signal import DELIVERED, PENDING, REFUSED, ResumableSignal, read_signal
from resumable.state.outcome import AlreadySent, NoSuchRun, RunEnded, SendOutcome, Sent, StoreRefused
from resumable.state.store import Store

# How often a signal whose job, or whose run, is not there is tried again; both cost next to nothing.
_JOB_RETRY = timedelta(seconds=1)
_PHASES: dict[bool | None, str] = {True: DELIVERED, False: REFUSED, None: PENDING}


class SignalKey(NamedTuple):
    """Which ResumableSignal."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Signals:
    """Delivers signals. `queue` is its own; `look_at` puts a job's key on the jobs' queue."""

    def __init__(
        self,
        api: KubernetesApi,
        store: Store,
        cache: Cache,
        queue: WorkQueue[SignalKey],
        look_at: Callable[[JobKey], None],
    ) -> None:
        self._api = api
        self._store = store
        self._cache = cache
        self._queue = queue
        self._look_at = look_at
        self._unsettled: dict[SignalKey, Object] = {}

    def see(self, signal: Object) -> None:
        """A signal is there, or changed."""
        key = _key(signal)
        if read_signal(signal).settled or signal["metadata"].get("deletionTimestamp"):
            self._unsettled.pop(key, None)
            return
        self._unsettled[key] = signal
        self._queue.add(key)

    def forget(self, signal: Object) -> None:
        """It is gone from the API server."""
        self._unsettled.pop(_key(signal), None)

    async def deliver(self, key: SignalKey) -> None:
        """Bring this signal as far as it gets now. What is raised means: again, after a back-off."""
        manifest = self._unsettled.get(key)
        if manifest is None:
            return
        signal = read_signal(manifest)
        try:
            settled = await self._deliver(signal, manifest)
        except NotFound:
            settled = True  # deleted meanwhile
        if not settled:
            self._queue.add_after(key, _JOB_RETRY)
        elif (known := self._unsettled.get(key)) and known["metadata"]["uid"] == signal.uid:  # not one made since
            del self._unsettled[key]

    async def _deliver(self, signal: ResumableSignal, manifest: Object) -> bool:
        job_key = JobKey(signal.namespace, signal.job_name)
        job = self._cache.job(job_key)
        if job is None or job["metadata"].get("deletionTimestamp"):
            why = f"there is no ResumableJob {signal.job_name!r} in this namespace yet"
            await self._tell(manifest, Condition(DELIVERED, None, "JobNotFound", why))
            return False
        run_id = job["metadata"]["uid"]
        try:
            outcome = await asyncio.to_thread(self._store.send_signal, run_id, signal.as_sent)
        except StoreRefused as error:
            condition = Condition(DELIVERED, False, "NotAccepted", str(error))
        else:
            condition = _condition_of(outcome)
            if isinstance(outcome, AlreadySent):  # the watch may be behind our own writes
                manifest = await self._api.get_signal(signal.namespace, signal.name)
                if read_signal(manifest).settled:
                    return True
        if condition.status:
            self._look_at(job_key)
        if condition.status is not None:
            await self._give_to(job, manifest)
        await self._tell(manifest, condition, run_id)
        return condition.status is not None

    async def _give_to(self, job: Object, manifest: Object) -> None:
        """Make the job the signal's owner, so that it goes with the job. Raises `Conflict` when it changed."""
        owner, metadata = job["metadata"], manifest["metadata"]
        others: list[Object] = metadata.get("ownerReferences") or []
        if any(each["uid"] == owner["uid"] for each in others):
            return
        reference = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": owner["name"], "uid": owner["uid"]}
        version = metadata["resourceVersion"]
        patch: Object = {"metadata": {"resourceVersion": version, "ownerReferences": [*others, reference]}}
        await self._api.patch_signal(*_key(manifest), patch)

    async def _tell(self, manifest: Object, condition: Condition, run_id: str = "") -> None:
        told = (manifest.get("status") or {}).get("conditions") or [{}]
        if told[0].get("reason") == condition.reason:
            return
        patch: Object = {"status": signal_status(condition, manifest["metadata"].get("generation", 1), run_id)}
        key = _key(manifest)
        patched = await self._api.patch_signal_status(*key, patch)
        if key in self._unsettled:
            self._unsettled[key] = patched


def signal_status(condition: Condition, generation: int, run_id: str) -> Object:
    """The whole `status` of a signal."""
    written = {
        "type": condition.type,
        "status": {True: "True", False: "False", None: "Unknown"}[condition.status],
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": timestamp(datetime.now(UTC)),
        "observedGeneration": generation,
    }
    return {
        "phase": _PHASES[condition.status],
        "conditions": [written],
        **({"runID": run_id} if run_id else {}),
    }


def _condition_of(outcome: SendOutcome) -> Condition:
    match outcome:
        case Sent():
            return Condition(DELIVERED, True, "Sent", "the run's record has it")
        case AlreadySent():
            return Condition(
                DELIVERED, True, "AlreadySent", "the run's record has one of this name already: it is that"
            )
        case RunEnded(status=status):
            return Condition(DELIVERED, False, "RunEnded", f"the run is over ({status}): no wait will take it")
        case NoSuchRun():
            return Condition(DELIVERED, None, "RunNotFound", "the job has no run in the state store yet")
    assert_never(outcome)


def _key(signal: Object) -> SignalKey:
    return SignalKey(signal["metadata"]["namespace"], signal["metadata"]["name"])
