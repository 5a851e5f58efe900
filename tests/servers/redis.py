"""A real Redis (or Valkey) from Debian's package, on loopback, in a folder of its own; and a Cluster of three.

Durable: each write is flushed before it is answered. Where the package is missing it is installed when that is allowed
(root, apt-get), else named with the command to run.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError

from tests.servers.process import ServerProcess, free_port, installed

PACKAGE = "redis-server"
SLOTS = 16384
JOIN_SECONDS = 30.0
DURABLE = {"appendonly": "yes", "appendfsync": "always", "save": ""}


@dataclass(frozen=True)
class RedisServer:
    """A running server."""

    folder: Path
    port: int
    process: ServerProcess = field(repr=False)

    def url(self, database: int = 0, *, port: int = 0) -> str:
        """By TCP on loopback, also through `port`, where a connection can be cut."""
        return f"redis://127.0.0.1:{port or self.port}/{database}"

    @property
    def client(self) -> Any:
        """The driver's client, which repeats nothing by itself."""
        return redis.Redis(port=self.port, socket_timeout=10, decode_responses=True)

    def execute(self, *command: Any) -> Any:
        """Run one command."""
        with self.client as client:
            return client.execute_command(*command)

    def info(self, name: str) -> Any:
        """One field of INFO."""
        return self.execute("INFO")[name]


@dataclass(frozen=True)
class RedisCluster:
    """Three servers that share the slots."""

    servers: tuple[RedisServer, ...]

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.servers[0].port}"

    def empty(self) -> None:
        for server in self.servers:
            server.execute("FLUSHALL")


@contextmanager
def redis_server(**settings: str) -> Iterator[RedisServer]:
    """Start a server with these settings, and stop it (by its process id) at the end."""
    program = installed(_program, "Redis's server", PACKAGE)
    with tempfile.TemporaryDirectory(prefix="resumable-redis-") as name:
        folder = Path(name)
        port = free_port()
        options = {"dir": name, "port": str(port), "bind": "127.0.0.1", "daemonize": "no", **DURABLE} | {
            name.replace("_", "-"): value for name, value in settings.items()
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        process = ServerProcess(
            "Redis",
            [program, *arguments],
            folder,
            answers=lambda: server.execute("PING"),
            not_yet=RedisError,
        )
        server = RedisServer(folder, port, process)
        process.start()
        try:
            yield server
        finally:
            process.stop()


@contextmanager
def redis_cluster() -> Iterator[RedisCluster]:
    """Start three servers and let each serve a third of the slots."""
    with ExitStack() as running:
        servers = [
            running.enter_context(
                redis_server(cluster_enabled="yes", cluster_port=str(free_port()), cluster_node_timeout="5000")
            )
            for _ in range(3)
        ]
        bounds = [SLOTS * number // 3 for number in range(4)]
        for number, server in enumerate(servers):
            server.execute("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            server.execute("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in servers[1:]:
            bus = server.execute("CONFIG", "GET", "cluster-port")["cluster-port"]
            servers[0].execute("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        deadline = time.monotonic() + JOIN_SECONDS
        while not all(_has_joined(server, len(servers)) for server in servers):
            assert time.monotonic() < deadline, "the servers did not become a Cluster"
            time.sleep(0.05)
        yield RedisCluster(tuple(servers))


def _has_joined(server: RedisServer, servers: int) -> bool:
    state = server.execute("CLUSTER", "INFO")
    fields = state if isinstance(state, dict) else dict(line.split(":") for line in state.split())
    return bool(fields["cluster_state"] == "ok" and int(fields["cluster_known_nodes"]) == servers)


def _program() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")
