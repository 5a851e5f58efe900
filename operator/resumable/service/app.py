"""The Litestar application over any `Store`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Any, TypeAlias

from litestar import Litestar, Router
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult, DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from resumable.service import controller_api, health, worker_api
from resumable.service.admission import Admission
from resumable.service.authentication import Authenticator, NotAuthenticated
from resumable.service.caller import ServiceAccount
from resumable.service.problems import EXCEPTION_HANDLERS
from resumable.service.store_threads import StoreThreads
from resumable.service.sweep import INTERVAL, sweep
from resumable.state.store import Store
from resumable.state.wire import API

# Made inside the server's event loop, as a Kubernetes client has to be.
OpenAuthenticator: TypeAlias = Callable[[], AbstractAsyncContextManager[Authenticator]]

_BEARER = "Bearer "


def create_app(
    store: Store,
    authenticator: OpenAuthenticator,
    *,
    controller: ServiceAccount | None,
    max_request_bytes: int,
    writers: int = 1,
    readers: int = 4,
    sweep_interval: timedelta = INTERVAL,
) -> Litestar:
    """Serve `store`, whose schema is current. `controller`: the ServiceAccount that may do everything.

    What was kept for a time that is over is removed every `sweep_interval`.

    The caller closes the store, after the application's shutdown.
    """
    calls = StoreThreads(store, writers=writers, readers=readers)
    admission = Admission(calls, controller)
    schema_version = store.info().schema_version

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with authenticator() as app.state.authenticator:
            sweeping = asyncio.create_task(sweep(calls, sweep_interval))
            yield
            sweeping.cancel()
        calls.close()

    return Litestar(
        route_handlers=[
            Router(API, route_handlers=[worker_api.ROUTER, controller_api.ROUTER]),
            health.livez,
            health.readyz,
        ],
        lifespan=[lifespan],
        state=State({"admission": admission}),
        dependencies={
            "calls": _always(calls),
            "admission": _always(admission),
            "schema_version": _always(schema_version),
        },
        middleware=[DefineMiddleware(BearerAuthentication, exclude=["^/openapi"])],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=max_request_bytes,
        openapi_config=OpenAPIConfig(
            title="Resumable Jobs state service",
            version=version("resumable-jobs"),
            path="/openapi",
            render_plugins=[JsonRenderPlugin()],
        ),
        logging_config=None,
    )


def _always(value: object) -> Provide:
    return Provide(lambda: value, use_cache=True, sync_to_thread=False)


class BearerAuthentication(AbstractAuthenticationMiddleware):
    """Gives each request its caller, before its body is read."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, State]) -> AuthenticationResult:
        """Raises NotAuthenticated, AuthenticationUnavailable."""
        header = connection.headers.get("authorization", "")
        if header and not header.startswith(_BEARER):
            raise NotAuthenticated("the Authorization header is not of the form 'Bearer <token>'")
        caller = await connection.app.state.authenticator.authenticate(header.removeprefix(_BEARER))
        return AuthenticationResult(user=caller, auth=None)
