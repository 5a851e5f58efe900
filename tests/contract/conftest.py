"""Fixtures: an empty store of each kind, and real servers that are started once a session."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from resumable.state.store import Store
from tests.contract.runs import Worker, started
from tests.contract.stores import STORES, Surroundings
from tests.servers.mariadb import MariaDBServer, mariadb
from tests.servers.postgresql import PostgreSQLServer, postgresql
from tests.servers.redis import RedisCluster, RedisServer, redis_cluster, redis_server


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with ExitStack() as running:

        @cache
        def server() -> PostgreSQLServer:
            return running.enter_context(postgresql())

        @cache
        def mariadb_server() -> MariaDBServer:
            return running.enter_context(mariadb())

        @cache
        def redis() -> RedisServer:
            return running.enter_context(redis_server())

        @cache
        def cluster() -> RedisCluster:
            return running.enter_context(redis_cluster())

        yield Surroundings(tmp_path_factory.mktemp("contract"), server, mariadb_server, redis, cluster)


@pytest.fixture
def postgresql_server(surroundings: Surroundings) -> PostgreSQLServer:
    return surroundings.postgresql()


@pytest.fixture
def mariadb_server(surroundings: Surroundings) -> MariaDBServer:
    return surroundings.mariadb()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, surroundings: Surroundings, tmp_path: Path) -> Iterator[Store]:
    with STORES[request.param](replace(surroundings, folder=tmp_path)) as opened:
        yield opened


@pytest.fixture
def worker(store: Store) -> Worker:
    """The first attempt of a new run, begun."""
    return started(store)


@pytest.fixture
def at_once() -> Iterator[Callable[..., Future[Any]]]:
    """Call something in a thread of its own."""
    with ThreadPoolExecutor() as threads:
        yield threads.submit
