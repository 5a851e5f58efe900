"""Running scripts on a Redis server or a Cluster, and the names of what goes wrong.

redis-py is told to send nothing twice: only the caller knows whether what it sends may be sent again. A Cluster's
redirections it follows, as a server that redirects has done nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    ClusterDownError,
    DataError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from resumable.state.outcome import StoreRefused, StoreUnavailable
from resumable.state.redis.location import Location
from resumable.state.redis.script import Script, script

CLIENT: dict[str, Any] = {
    "protocol": 2,
    "decode_responses": False,
    "socket_connect_timeout": 10,
    "socket_timeout": 30,
    "socket_keepalive": True,
    "max_connections": 32,
    "timeout": 30,  # for a connection of the pool
    "client_name": "resumable-jobs",
}

WAIT_MS = 5000
LARGEST_VALUE = 512 * 1024 * 1024  # `proto-max-bulk-len`, unless it was changed

# Errors of a server that starts, stops, fails over or has no room; by the first word of what it says.
_LATER = {
    "LOADING": "it is reading its data",
    "MASTERDOWN": "it is a replica whose primary is away",
    "READONLY": "it is a replica: a failover moved the primary",
    "CLUSTERDOWN": "the Cluster does not serve this slot now",
    "TRYAGAIN": "the Cluster is moving this slot",
    "BUSY": "a script runs on it that takes long",
    "NOREPLICAS": "it takes writes only while more replicas are connected (min-replicas-to-write)",
    "OOM": "its memory is full and nothing was written: raise maxmemory, or remove runs that are over",
    "MISCONF": "it can't write to its disk and takes no writes: see its log, make room on the disk",
    "UNKILLABLE": "a script runs on it that takes long",
}


class Server(ABC):
    """One Redis: a server or a Cluster. Thread-safe. Connects when it is first used."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.largest_value = LARGEST_VALUE

    def run(self, name: str, keys: Sequence[str], *arguments: bytes) -> Any:
        """Run a script that may write. When it returns, as many replicas have it as were asked for."""
        self._check_sizes(keys[0], arguments)
        with self.named_errors():
            if self.location.wait_replicas:
                return self._run_and_wait(script(name), keys, arguments)
            return self._run(script(name), keys, arguments)

    def read(self, name: str, key: str, *arguments: bytes) -> Any:
        """Run a script that only reads."""
        with self.named_errors():
            return self._run(script(name), (key,), arguments)

    def ask(self, *command: Any) -> Any:
        """One command."""
        with self.named_errors():
            return self._client.execute_command(*command)

    def ask_many(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Many commands in as few round trips as may be; together they are no one moment of the store."""
        if not commands:
            return []
        with self.named_errors(), self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute())

    @abstractmethod
    def primaries(self) -> list[Any]:
        """A client of each server that takes writes."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    @property
    @abstractmethod
    def _client(self) -> Any: ...

    @abstractmethod
    def _client_of(self, key: str) -> Any:
        """A client of the server that has this key."""

    @abstractmethod
    def _forget_connections(self, error: Exception) -> None:
        """The server went away, or is a replica now: those that are idle lead nowhere either, or to the wrong one."""

    @abstractmethod
    def _look_again(self) -> None:
        """A slot moved: ask where it is."""

    def _declared(self, keys: Sequence[str]) -> Sequence[str]:
        """The keys that are named to the server."""
        return keys

    def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes]) -> Any:
        keys = self._declared(keys)
        try:
            return self._client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:  # it has done nothing; a server that started anew knows no scripts
            return self._client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    def _run_and_wait(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes]) -> Any:
        """On one connection: WAIT waits until a replica has all that was written before its connection's last command.

        That is also what others wrote, so that a write that changed nothing because it had landed before waits too.
        """
        keys = self._declared(keys)
        command: tuple[Any, ...] = ("EVALSHA", script.sha)
        for _ in range(4):
            with self._client_of(keys[0]).pipeline(transaction=False) as pipeline:
                pipeline.execute_command(*command, len(keys), *keys, *arguments)
                pipeline.execute_command("WAIT", self.location.wait_replicas, WAIT_MS)
                reply, acknowledged = pipeline.execute(raise_on_error=False)
            if isinstance(reply, NoScriptError):
                command = ("EVAL", script.text)
            elif isinstance(reply, MovedError):
                self._look_again()
            else:
                break
        for each in (reply, acknowledged):
            if isinstance(each, Exception):
                raise each
        if acknowledged < self.location.wait_replicas:
            raise StoreUnavailable(
                f"{self.location.address}: {acknowledged} of {self.location.wait_replicas} replicas (waitReplicas)"
                f" confirmed a write within {WAIT_MS / 1000:g} s; whether it survives a failover is unknown: send it"
                " again"
            )
        return reply

    def _check_sizes(self, key: str, arguments: Sequence[bytes]) -> None:
        """A server cuts the connection of a client that sends more than it takes, which would look like an outage."""
        for argument in arguments:
            if len(argument) > self.largest_value:
                raise StoreRefused(
                    f"{self.location.address}: a value of {key} has {len(argument):,} bytes; at most"
                    f" {self.largest_value:,} are allowed (proto-max-bulk-len): keep it in a file, and its path here"
                )

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """redis-py's errors under the two names that a store's callers know."""
        try:
            yield
        except (RedisError, RedisClusterException, OSError) as error:
            if isinstance(error, (*self._AWAY, ReadOnlyError)):
                self._forget_connections(error)
            raise self._store_error(error) from error

    _REFUSED: ClassVar[tuple[type[Exception], ...]] = (
        AuthenticationError,
        AuthenticationWrongNumberOfArgsError,
        AuthorizationError,
        NoPermissionError,
    )
    _AWAY: ClassVar[tuple[type[Exception], ...]] = (
        RedisConnectionError,
        RedisTimeout,
        OSError,
        AskError,  # also MovedError: the slot moves faster than we can follow
        ClusterDownError,
        TryAgainError,
        RedisClusterException,
    )

    def _store_error(self, error: Exception) -> StoreUnavailable | StoreRefused:
        said = " ".join(str(error).split())
        address = self.location.address
        if isinstance(error, self._REFUSED):
            return StoreRefused(f"{address}: this user may not do that: {said}")
        if isinstance(error, MovedError) and not self.location.cluster:
            return StoreRefused(f"{address}: this server is part of a Cluster; its URL begins with redis+cluster://")
        word = "OOM" if isinstance(error, OutOfMemoryError) else _first_word(error, said)
        if word in _LATER:
            return StoreUnavailable(f"{address}: {_LATER[word]}; try again ({said})")
        if isinstance(error, self._AWAY):
            return StoreUnavailable(f"{address}: {said}; try again")
        if isinstance(error, DataError | ResponseError):
            return StoreRefused(f"{address}: Redis does not take this: {said}")
        return StoreUnavailable(f"{address}: {said}; try again")


def _first_word(error: Exception, said: str) -> str:
    """What kind of error the server named. redis-py drops the word of the kinds for which it has a class."""
    kinds = {ReadOnlyError: "READONLY", redis.exceptions.BusyLoadingError: "LOADING"}
    for kind, word in kinds.items():
        if isinstance(error, kind):
            return word
    return said.partition(" ")[0]


class Single(Server):
    """One server, with or without replicas."""

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        try:
            pool = redis.BlockingConnectionPool.from_url(location.url, retry=_no_retry(), **CLIENT)
        except ValueError as error:
            raise StoreRefused(f"{location.address}: {error}") from error
        self._redis = redis.Redis(connection_pool=pool)

    @property
    def _client(self) -> Any:
        return self._redis

    def _client_of(self, key: str) -> Any:  # noqa: ARG002
        return self._redis

    def primaries(self) -> list[Any]:
        return [self._redis]

    def _forget_connections(self, error: Exception) -> None:  # noqa: ARG002
        self._redis.connection_pool.disconnect(inuse_connections=False)

    def _look_again(self) -> None:
        pass

    def close(self) -> None:
        self._redis.close()
        self._redis.connection_pool.disconnect()


class Cluster(Server):
    """A Redis Cluster. A run is on one of its servers, whole."""

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        self._connected: Any = None

    @property
    def _client(self) -> Any:
        if self._connected is None:  # made by two threads at once, the second is as good
            self._connected = redis.RedisCluster.from_url(
                self.location.url,
                retry=_no_retry(),
                connection_pool_class=redis.BlockingConnectionPool,
                **CLIENT,
            )
        return self._connected

    def _client_of(self, key: str) -> Any:
        node = self._client.get_node_from_key(key)
        if node is None:
            raise ClusterDownError(f"no server has the slot of {key}")
        return self._client.get_redis_connection(node)

    def primaries(self) -> list[Any]:
        return [self._client.get_redis_connection(node) for node in self._client.get_primaries()]

    def _declared(self, keys: Sequence[str]) -> Sequence[str]:
        """While a slot moves from server to server, a script may find some of its keys and miss others that the other
        server has. One that names a key that never is there is not run then: the answer is TRYAGAIN.
        """
        return (*keys, f"{keys[0]}/never")

    def _forget_connections(self, error: Exception) -> None:
        """The client does so itself. When it finds none of its servers, the URL is asked anew."""
        if isinstance(error, RedisClusterException):
            self._connected = None

    def _look_again(self) -> None:
        self._client.nodes_manager.initialize()

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)
