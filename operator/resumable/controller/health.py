"""GET /livez and /readyz for the kubelet's probes.

Alive: the event loop answers; everything that may end the controller ends the process. Ready: it has listed what there
is, or it stands by for the Lease.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Health:
    """What the probes are told."""

    def __init__(self) -> None:
        self.ready = False

    async def livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(self, _request: web.Request) -> web.Response:
        if self.ready:
            return web.Response(text="ok")
        return web.Response(status=503, text="starting: the jobs and pods are not listed yet")


@asynccontextmanager
async def served(health: Health, port: int | None) -> AsyncIterator[None]:
    """Serve the two pages on `port`; None: nowhere."""
    if port is None:
        yield
        return
    app = web.Application()
    app.add_routes([web.get("/livez", health.livez), web.get("/readyz", health.readyz)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()
