"""Do what was decided: each action as calls to the API server and to the store. No `if` about the why.

Every action may be done twice: the process can die between any two lines here, and the next one starts from what is.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, assert_never

from resumable.controller.cache import Cache
from resumable.controller.dry_run import Refusal, TemplateVerdicts, refusal
from resumable.controller.kubernetes_api import ApiError, Conflict, KubernetesApi, NotFound, Object
from resumable.controller.live_reads import LiveReads
from resumable.controller.pod_manifest import pod_manifest
from resumable.controller.pod_snapshot import pod_snapshot
from resumable.controller.release import release_pod, strip_job
from resumable.controller.snapshot import Snapshot
from resumable.lifecycle.decision import (
    Action,
    BindPod,
    CountEnd,
    CreatePod,
    CreateRun,
    DeletePod,
    DeleteState,
    Mint,
    ReleaseJob,
    ReleasePod,
    RequestStop,
    Restart,
    SetInput,
    Settle,
)
from resumable.lifecycle.pod import nonce_hash
from resumable.resource import names
from resumable.state.outcome import Changed, ChangeOutcome, Stale
from resumable.state.store import NewRun, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done:
    """It is so now."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """Things are not as they were decided on.

    The newer state is in the cache or in the store: read and decide again.
    """


@dataclass(frozen=True, slots=True)
class NameTaken:
    """The pod's name belongs to somebody else: waited for."""

    pod_name: str


Result: TypeAlias = Done | Overtaken | NameTaken | Refusal


class CarryOut:
    """Carries out actions.

    Raises `StoreError`, `ApiError`, `ApiUnavailable`: then nobody knows, and the job is looked at again.
    """

    def __init__(
        self,
        api: KubernetesApi,
        store: Store,
        cache: Cache,
        verdicts: TemplateVerdicts,
        *,
        worker_store_url: str,
        require_leadership: Callable[[], None],
    ) -> None:
        self._api = api
        self._store = store
        self._cache = cache
        self._live = LiveReads(api, cache)
        self._verdicts = verdicts
        self._worker_store_url = worker_store_url
        self._require_leadership = require_leadership

    async def do(self, action: Action, at: Snapshot) -> Result:
        """Carry out one action that was decided on `at`."""
        run_id = at.job.uid
        match action:
            case CreateRun():
                return await self._create_run(at)
            case SetInput(expected):
                return _result(await _in_thread(self._store.set_input, run_id, expected, at.job.spec.encoded_input))
            case Mint():
                return await self._mint(action, at)
            case CreatePod(attempt):
                return await self._create_minted(attempt, at)
            case BindPod(attempt, pod_name, pod_uid):
                return await self._bind(at, attempt, _nonce(at), pod_name, pod_uid)
            case RequestStop(attempt, reason):
                return _result(await _in_thread(self._store.request_stop, run_id, attempt, reason))
            case DeletePod():
                return await self._delete_pod(action, at)
            case CountEnd(end):
                return _result(await _in_thread(self._store.count_end, run_id, end))
            case ReleasePod(name, uid):
                await release_pod(self._api, self._cache, at.key, name, uid)
                return Done()
            case Settle(expected, to, reason, message):
                settle = self._store.settle
                return _result(await _in_thread(lambda: settle(run_id, expected, to, reason=reason, message=message)))
            case Restart(expected, request):
                return _result(await _in_thread(self._store.restart, run_id, expected, request))
            case DeleteState():
                await _in_thread(self._store.delete_run, run_id)
                return Done()
            case ReleaseJob():
                return await self._release_job(at)
            case _:
                assert_never(action)

    async def ensure_finalizer(self, manifest: Object) -> Object:
        """Put our finalizer on the job, so that it can't go while its pods and its state are there.

        Raises `Conflict`.
        """
        metadata = manifest["metadata"]
        finalizers = metadata.get("finalizers") or []
        patch = {
            "metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": [*finalizers, names.FINALIZER]}
        }
        patched = await self._api.patch_job(metadata["namespace"], metadata["name"], patch)
        self._cache.see_job(patched)
        return patched

    async def _create_run(self, at: Snapshot) -> Result:
        job = at.job
        run = NewRun(id=job.uid, namespace=job.namespace, name=job.name, input=job.spec.encoded_input)
        await _in_thread(self._store.create_run, run)
        return Done()

    async def _mint(self, mint: Mint, at: Snapshot) -> Result:
        """The next attempt: everything that may go wrong with its pod is tried before a number is spent on it."""
        if not await self._live.job_is_as_decided(at.job):
            return Overtaken()
        if mint.expected.attempt and not await self._live.pod_is_as_decided(at.job, at.pods, mint.expected.attempt):
            return Overtaken()
        if refused := await self._verdicts.before_mint(at.job, mint.attempt):
            return refused
        self._require_leadership()
        nonce = secrets.token_hex(16)
        minted = await _in_thread(self._store.mint, at.job.uid, mint.expected, nonce)
        if isinstance(minted, Stale):
            return Overtaken()
        return await self._create_pod(at, mint.attempt, nonce)

    async def _create_minted(self, attempt: int, at: Snapshot) -> Result:
        if not await self._live.job_is_as_decided(at.job):
            return Overtaken()
        self._require_leadership()
        return await self._create_pod(at, attempt, _nonce(at))

    async def _create_pod(self, at: Snapshot, attempt: int, nonce: str) -> Result:
        manifest = pod_manifest(at.job, attempt, nonce, store_url=self._worker_store_url)
        try:
            pod = await self._api.create_pod(at.job.namespace, manifest)
        except Conflict:
            return await self._adopt(at, attempt, nonce)
        except ApiError as error:
            return refusal(error)
        self._cache.see_pod(pod)
        return await self._bind(at, attempt, nonce, pod["metadata"]["name"], pod["metadata"]["uid"])

    async def _adopt(self, at: Snapshot, attempt: int, nonce: str) -> Result:
        """The name is taken: by the pod that an earlier create made, whose reply was lost, or by somebody else's."""
        try:
            pod = await self._api.get_pod(at.job.namespace, at.job.pod_name(attempt))
        except NotFound:
            return Overtaken()
        self._cache.see_pod(pod)
        found = pod_snapshot(pod)
        if found and found.run_id == at.job.uid and found.nonce_hash == nonce_hash(nonce):
            return await self._bind(at, attempt, nonce, found.name, found.uid)
        return NameTaken(at.job.pod_name(attempt))

    async def _bind(self, at: Snapshot, attempt: int, nonce: str, pod_name: str, pod_uid: str) -> Result:
        bind = self._store.bind_pod
        run_id = at.job.uid
        return _result(await _in_thread(lambda: bind(run_id, attempt, nonce, pod_name=pod_name, pod_uid=pod_uid)))

    async def _delete_pod(self, delete: DeletePod, at: Snapshot) -> Result:
        try:
            answer = await self._api.delete_pod(at.key.namespace, delete.name, delete.uid, delete.grace_seconds)
        except (NotFound, Conflict):  # Conflict: another pod has this name now
            self._cache.forget_pod_uid(at.key, delete.uid)
            return Done()
        if answer.get("kind") == "Pod":
            self._cache.see_pod(answer)  # has its deletionTimestamp, so that the next round does not delete again
        return Done()

    async def _release_job(self, at: Snapshot) -> Result:
        try:
            await strip_job(self._api, self._cache.latest(at.manifest))
        except NotFound:
            return Done()
        except Conflict:
            self._cache.see_job(await self._api.get_job(*at.key))
            return Overtaken()
        return Done()


async def _in_thread(call: Callable[..., T], *args: object) -> T:
    """Stores are synchronous, and one of them is a database on this machine's disk."""
    return await asyncio.to_thread(call, *args)


def _result(outcome: ChangeOutcome) -> Result:
    return Done() if isinstance(outcome, Changed) else Overtaken()


def _nonce(at: Snapshot) -> str:
    """The current attempt's. There is a record: otherwise nothing about an attempt would have been decided."""
    assert at.view is not None
    return at.view.run.nonce
