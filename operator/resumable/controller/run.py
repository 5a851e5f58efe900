"""One controller process, from start to SIGTERM."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf
import uvloop
from kubernetes.aio.config import ConfigException

from resumable.controller.cache import Cache, JobKey
from resumable.controller.carry_out import CarryOut
from resumable.controller.dry_run import TemplateVerdicts
from resumable.controller.events import Events
from resumable.controller.health import Health, served
from resumable.controller.kubernetes_api import ApiError, ApiUnavailable, KubernetesApi, connect
from resumable.controller.leadership import Leadership, LeadershipLost
from resumable.controller.let_go import LetGo, let_go
from resumable.controller.queue import WorkQueue
from resumable.controller.reconcile import Reconciler
from resumable.controller.settings import ControllerSettings, kopf_settings
from resumable.controller.signals import SignalKey, Signals
from resumable.controller.snapshot import SnapshotReader
from resumable.controller.wakeups import Wakeups
from resumable.controller.watching import Watching
from resumable.state.open import open_store
from resumable.state.outcome import StoreError
from resumable.state.remote import RemoteStore
from resumable.state.store import Store

logger = logging.getLogger(__name__)

_SIGNAL_WORKERS = 4


class ControllerRefused(Exception):
    """The controller can't start as it was asked to; one sentence says why and what to do."""


def run_controller(settings: ControllerSettings) -> None:
    """Look after ResumableJobs until SIGTERM or SIGINT.

    Raises `ControllerRefused` when it can't start, `LeadershipLost` when another controller took over.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    for chatty in ("kopf", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        store = _open_store(settings)
    except StoreError as error:
        raise ControllerRefused(str(error)) from None
    try:
        uvloop.run(_run(settings, store))
    finally:
        store.close()


def _open_store(settings: ControllerSettings) -> Store:
    if settings.store_url.startswith(("http://", "https://")):
        # As many kept connections as there may be calls at a time.
        return RemoteStore(settings.store_url, token_file=settings.token_file, connections=settings.store_threads)
    return open_store(settings.store_url)


def run_let_go(settings: ControllerSettings) -> LetGo:
    """Take all finalizers off before an uninstallation (`let_go`).

    Raises `ControllerRefused` when there is no cluster, `StillHeld`, `ApiError`, `ApiUnavailable`.
    """

    async def run() -> LetGo:
        api = await _connected()
        try:
            return await let_go(api, settings.namespaces, _leadership(settings, api))
        finally:
            await api.close()

    return uvloop.run(run())


async def _run(settings: ControllerSettings, store: Store) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(settings.store_threads, "store"))
    api = await _connected()
    try:
        await _until_stopped(_control(settings, store, api))
    finally:
        await api.close()


async def _connected() -> KubernetesApi:
    try:
        return KubernetesApi(await connect())
    except ConfigException as error:
        raise ControllerRefused(
            f"no cluster: neither a pod's ServiceAccount nor a usable kubeconfig: {error}"
        ) from None


async def _until_stopped(controlling: Coroutine[Any, Any, None]) -> None:
    """Run until it ends or a signal comes.

    As process 1 of a container it would otherwise ignore SIGTERM; kopf sets its own handlers later.
    """
    task = asyncio.create_task(controlling)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        logger.info("stopped")


async def _control(settings: ControllerSettings, store: Store, api: KubernetesApi) -> None:
    health = Health()
    leadership = _leadership(settings, api)
    async with served(health, settings.health_port):
        if leadership:
            health.ready = True  # standing by
            await leadership.acquire()
            health.ready = False
        try:
            await _lead(settings, store, api, health, leadership)
        finally:
            if leadership:
                await leadership.release()


async def _lead(
    settings: ControllerSettings, store: Store, api: KubernetesApi, health: Health, leadership: Leadership | None
) -> None:
    cache = Cache()
    queue: WorkQueue[JobKey] = WorkQueue(expected=(StoreError, ApiError, ApiUnavailable, LeadershipLost))
    to_send: WorkQueue[SignalKey] = WorkQueue(expected=(StoreError, ApiError, ApiUnavailable))
    signals = Signals(api, store, cache, to_send, queue.add)
    wakeups = Wakeups(store, queue.add)
    watching = Watching(api, cache, queue.add, signals, settings.namespaces)
    events = Events(api)
    require = leadership.require if leadership else _alone
    reconciler = _reconciler(settings, store, api, cache, queue, events, wakeups, require)

    await watching.first_list()
    health.ready = True
    logger.info("looking after %d jobs", cache.job_count())
    registry = kopf.OperatorRegistry()
    watching.register(registry)
    kopf.on.login(registry=registry)(_login)
    forever = [
        asyncio.create_task(watching.relist_at_intervals(), name="relist"),
        asyncio.create_task(wakeups.poll(), name="wake-ups"),
        *(asyncio.create_task(to_send.work(signals.deliver), name=f"signals {n}") for n in range(_SIGNAL_WORKERS)),
        *(asyncio.create_task(queue.work(reconciler.reconcile), name=f"worker {n}") for n in range(settings.workers)),
    ]
    if leadership:
        forever.append(asyncio.create_task(leadership.keep(), name="lease"))
    # kopf ends, well, on a signal; everything else ends only by failing.
    forever.append(
        asyncio.create_task(
            kopf.operator(
                registry=registry,
                settings=kopf_settings(),
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
            ),
            name="kopf",
        )
    )
    try:
        done, _ = await asyncio.wait(forever, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in forever:
            task.cancel()
        await asyncio.gather(*forever, return_exceptions=True)
        await events.flush()


def _reconciler(
    settings: ControllerSettings,
    store: Store,
    api: KubernetesApi,
    cache: Cache,
    queue: WorkQueue[JobKey],
    events: Events,
    wakeups: Wakeups,
    require_leadership: Callable[[], None],
) -> Reconciler:
    url = settings.url_for_workers
    verdicts = TemplateVerdicts(api, store_url=url)
    reader = SnapshotReader(api, store, cache, verdicts)
    carry_out = CarryOut(api, store, cache, verdicts, worker_store_url=url, require_leadership=require_leadership)
    interval = settings.progress_interval
    return Reconciler(api, cache, queue, reader, carry_out, verdicts, events, wakeups, progress_interval=interval)


def _leadership(settings: ControllerSettings, api: KubernetesApi) -> Leadership | None:
    if not settings.lease_namespace:
        return None
    # In a pod the process is number 1 and the host's name is the pod's: a container that is restarted in its pod leads
    # again at once, without waiting for the Lease of the process that died.
    identity = f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{os.getpid()}"
    return Leadership(api, settings.lease_namespace, settings.lease_name, identity)


def _alone() -> None:
    """Nobody else is to be considered: this controller was started without a Lease."""


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
