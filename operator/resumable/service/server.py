"""The state service as a process: `resumable service`.

Brings the database's schema up to date, serves until SIGTERM, finishes the requests that are under way, and leaves.
"""

import asyncio
import logging
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol, runtime_checkable

import uvicorn

from resumable.resource.names import TOKEN_AUDIENCE
from resumable.service.app import OpenAuthenticator, create_app
from resumable.service.authentication import Authenticator, LoopbackAuthenticator, is_loopback
from resumable.service.caller import ServiceAccount
from resumable.state.open import open_store
from resumable.state.outcome import StoreRefused, StoreUnavailable
from resumable.state.store import Store

logger = logging.getLogger(__name__)

# Longer than the minute after which clients and load balancers usually drop an idle connection, so that they close it,
# not we.
_KEEP_ALIVE = timedelta(seconds=75)


@runtime_checkable
class Migrates(Protocol):
    """A store that the service brings to the newest version when it starts."""

    def migrate(self) -> None: ...


class StartRefused(Exception):
    """The service can't start. The message is one sentence for the person who started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What `resumable service` is told."""

    store_url: str
    host: str = "0.0.0.0"
    port: int = 8080  # 0: any free one; the log says which
    auth: Literal["kubernetes", "none"] = "kubernetes"
    controller_service_account: str = ""  # namespace/name
    kubeconfig: str = ""  # "": the pod's own ServiceAccount
    max_request_bytes: int = 16 * 1024 * 1024
    shutdown_grace: timedelta = timedelta(seconds=20)  # for requests under way; less than the pod's grace
    store_wait: timedelta = timedelta(seconds=60)  # for a database that is not there yet


def serve(settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT. For the main thread. Raises StartRefused."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic.runtime.plugins", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with _stop_signals() as stop:
        authenticator, controller = _authentication(settings)
        store = _open_store(settings, stop)
        if store is None:
            return
        try:
            _serve(settings, store, authenticator, controller)
        finally:
            store.close()
    logger.info("stopped")


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set.

    As PID 1 of a container a process without handlers ignores SIGTERM. While it serves, uvicorn has handlers of its
    own; afterwards it raises the signal again, for which these are there.
    """
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve(
    settings: ServiceSettings, store: Store, authenticator: OpenAuthenticator, controller: ServiceAccount | None
) -> None:
    app = create_app(
        store,
        authenticator,
        controller=controller,
        max_request_bytes=settings.max_request_bytes,
        writers=1 if settings.store_url.startswith("sqlite") else 8,
    )
    listener = _listen(settings.host, settings.port)
    info = store.info()
    logger.info("store %s, schema %s: %s", info.uuid, info.schema_version, info.durability)
    logger.info("serving on http://%s:%d, authentication: %s", *listener.getsockname()[:2], settings.auth)
    server = uvicorn.Server(server_config(app, settings.shutdown_grace))
    server.run(sockets=[listener])
    if not server.started:
        raise StartRefused("the state service did not start; its log says why")


def server_config(app: object, shutdown_grace: timedelta) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(_KEEP_ALIVE.total_seconds()),
        timeout_graceful_shutdown=int(shutdown_grace.total_seconds()),
    )


def _authentication(settings: ServiceSettings) -> tuple[OpenAuthenticator, ServiceAccount | None]:
    if settings.auth == "none":
        if not is_loopback(settings.host):
            raise StartRefused(
                f"--auth none lets everybody do everything, so it is for a loopback address, not for {settings.host}: "
                "use --host 127.0.0.1 or --auth kubernetes"
            )
        return _loopback, None
    if not settings.controller_service_account:
        raise StartRefused("--auth kubernetes needs --controller-service-account namespace/name: nobody else may read")
    try:
        controller = ServiceAccount.parse(settings.controller_service_account)
    except ValueError as error:
        raise StartRefused(f"--controller-service-account: {error}") from error
    return _token_review(settings.kubeconfig), controller


@asynccontextmanager
async def _loopback() -> AsyncIterator[Authenticator]:
    yield LoopbackAuthenticator()


def _token_review(kubeconfig: str) -> OpenAuthenticator:
    from resumable.service.token_review import NoCluster, TokenReviewAuthenticator, load_configuration

    try:
        configuration = asyncio.run(load_configuration(kubeconfig))
    except NoCluster as error:
        raise StartRefused(str(error)) from error

    def open_authenticator() -> AbstractAsyncContextManager[Authenticator]:
        return TokenReviewAuthenticator.connect(configuration, TOKEN_AUDIENCE)

    return open_authenticator


def _open_store(settings: ServiceSettings, stop: threading.Event) -> Store | None:
    """The store with its schema up to date; None when told to stop while waiting for it."""
    deadline = time.monotonic() + settings.store_wait.total_seconds()
    while True:
        try:
            return _migrated(settings.store_url)
        except StoreRefused as error:
            raise StartRefused(str(error)) from error
        except StoreUnavailable as error:
            if time.monotonic() >= deadline:
                raise StartRefused(f"the store did not answer within {settings.store_wait}: {error}") from error
            logger.warning("waiting for the store: %s", error)
        if stop.wait(1):
            return None


def _migrated(url: str) -> Store:
    store = open_store(url)
    try:
        if not isinstance(store, Migrates):
            raise StoreRefused(f"{url}: a state service keeps its record in a database or in Redis, not in another one")
        store.migrate()
    except BaseException:
        store.close()
        raise
    return store


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise StartRefused(f"can't listen on {host} port {port}: {error.strerror or error}") from error
