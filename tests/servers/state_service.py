"""State services for tests: in a thread over any store, or as a process of its own that can be killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import urllib3
import uvicorn

from resumable.service.app import OpenAuthenticator, create_app
from resumable.service.authentication import Authenticator, LoopbackAuthenticator
from resumable.service.caller import ServiceAccount
from resumable.service.server import server_config
from resumable.service.sweep import INTERVAL
from resumable.state.store import Store
from tests.servers.process import free_port

_START_WITHIN = 30.0


@asynccontextmanager
async def trust_everybody() -> AsyncIterator[Authenticator]:
    yield LoopbackAuthenticator()


@contextlib.contextmanager
def running_service(
    store: Store,
    *,
    authenticator: OpenAuthenticator = trust_everybody,
    controller: ServiceAccount | None = None,
    max_request_bytes: int = 16 * 1024 * 1024,
    sweep_interval: timedelta = INTERVAL,
) -> Iterator[str]:
    """The URL of a service over `store`: uvicorn in a thread, on loopback, without authentication unless told."""

    app = create_app(
        store,
        authenticator,
        controller=controller,
        max_request_bytes=max_request_bytes,
        sweep_interval=sweep_interval,
    )
    server = uvicorn.Server(server_config(app, shutdown_grace=timedelta(seconds=5)))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="state-service")
    thread.start()
    try:
        deadline = time.monotonic() + _START_WITHIN
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the state service did not start; the log says why")
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


_SERVE = """
import json, sys
from resumable.service.server import ServiceSettings, serve
serve(ServiceSettings(**json.loads(sys.argv[1])))
"""


class ServiceProcess:
    """`resumable service --auth none` as a process; its log goes to `log`."""

    def __init__(self, store_url: str, log: Path, *, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        settings = {"store_url": store_url, "host": "127.0.0.1", "port": self.port, "auth": "none"}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, json.dumps(settings)],
                stdout=output,
                stderr=output,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Return when /readyz says so. Raises AssertionError with the log when the process ends or the time is over."""
        deadline = time.monotonic() + _START_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if urllib3.request("GET", f"{self.url}/readyz", retries=False, timeout=5).status == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the service is not ready (exit code {self._process.poll()}):\n{self._log.read_text()}")

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory is short."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM, as the kubelet does; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)
