"""What the tests of Redis share: looking into a server, waiting for it, and a primary with its replica."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resumable.state.outcome import StoreUnavailable, WriteOutcome
from resumable.state.redis.keys import run_key
from tests.servers.redis import RedisServer, redis_server


def eventually(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def until_stored(write: Callable[[], WriteOutcome]) -> WriteOutcome:
    """Send the same write until somebody answers, as a worker does."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return write()
        except StoreUnavailable:
            assert time.monotonic() < deadline, "the store did not come back"
            time.sleep(0.01)


def keys_of(server: RedisServer, run_id: str) -> list[str]:
    """All keys of a run on this server."""
    with server.client as client:
        return sorted(key for key in client.scan_iter(count=1000) if key.startswith(run_key(run_id)))


@contextmanager
def primary_and_replica(**settings: str) -> Iterator[tuple[RedisServer, RedisServer]]:
    with redis_server(**settings) as primary, redis_server(**settings) as replica:
        replica.execute("REPLICAOF", "127.0.0.1", primary.port)
        eventually(lambda: replica.info("master_link_status") == "up", "the replica should be connected")
        eventually(lambda: primary.info("slave0")["state"] == "online", "the primary should know its replica")
        yield primary, replica


def replicated(primary: RedisServer, replica: RedisServer) -> bool:
    return bool(primary.info("master_repl_offset") == replica.info("master_repl_offset"))
