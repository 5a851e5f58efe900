"""The stores that the contract suite runs on. Another store is another entry of `STORES`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from resumable.state.redis.store import RedisStore
from resumable.state.remote import RemoteStore
from resumable.state.sql.store import SqlStore
from resumable.state.sql.tables import metadata
from resumable.state.store import Store
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.redis import RedisCluster, RedisServer
from tests.servers.state_service import running_service


@dataclass(frozen=True)
class Surroundings:
    """What a store may need to come into being; a server is started when it is first asked for."""

    folder: Path
    postgresql: Callable[[], PostgreSQLServer]
    mariadb: Callable[[], MariaDBServer]
    redis: Callable[[], RedisServer]
    redis_cluster: Callable[[], RedisCluster]


@contextmanager
def sqlite(around: Surroundings) -> Iterator[Store]:
    with closing(SqlStore(f"sqlite:///{around.folder / 'runs.db'}")) as store:
        yield store


@contextmanager
def sqlite_memory(_: Surroundings) -> Iterator[Store]:
    with closing(SqlStore("sqlite://")) as store:
        yield store


@contextmanager
def postgresql(around: Surroundings) -> Iterator[Store]:
    with _emptied(around.postgresql().database("contract")) as store:
        yield store


@contextmanager
def mariadb(around: Surroundings) -> Iterator[Store]:
    with _emptied(around.mariadb().database("contract")) as store:
        yield store


@contextmanager
def _emptied(url: str) -> Iterator[SqlStore]:
    """One database, emptied: to make one for each test takes longer than most tests."""
    with closing(SqlStore(url)) as store:
        store.migrate()
        with store.database.writing() as connection:
            for table in metadata.sorted_tables:
                if table.name != "store":
                    connection.execute(table.delete())
        yield store


@contextmanager
def redis(around: Surroundings) -> Iterator[Store]:
    server = around.redis()
    server.execute("FLUSHALL")
    with closing(RedisStore(server.url())) as store:
        yield store


@contextmanager
def redis_cluster(around: Surroundings) -> Iterator[Store]:
    cluster = around.redis_cluster()
    cluster.empty()
    with closing(RedisStore(cluster.url)) as store:
        yield store


@contextmanager
def http(around: Surroundings) -> Iterator[Store]:
    """The state service over SQLite, on loopback."""
    with sqlite(around) as served, running_service(served) as url, closing(RemoteStore(url)) as store:
        yield store


STORES: dict[str, Callable[[Surroundings], AbstractContextManager[Store]]] = {
    "sqlite": sqlite,
    "sqlite-memory": sqlite_memory,
    "postgresql": postgresql,
    "mariadb": mariadb,
    "redis": redis,
    "redis-cluster": redis_cluster,
    "http": http,
}
