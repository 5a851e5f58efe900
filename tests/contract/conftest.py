"""Fixtures: an empty store of each kind, and a real PostgreSQL that is started once a session."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from resumable.state.store import Store
from tests.contract.runs import Worker, started
from tests.contract.stores import STORES, Surroundings
from tests.servers.postgresql import PostgreSQLServer, postgresql


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with ExitStack() as running:

        @cache
        def server() -> PostgreSQLServer:
            return running.enter_context(postgresql())

        yield Surroundings(tmp_path_factory.mktemp("contract"), server)


@pytest.fixture
def postgresql_server(surroundings: Surroundings) -> PostgreSQLServer:
    return surroundings.postgresql()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, surroundings: Surroundings, tmp_path: Path) -> Iterator[Store]:
    around = Surroundings(tmp_path, surroundings.postgresql)
    with STORES[request.param](around) as opened:
        yield opened


@pytest.fixture
def worker(store: Store) -> Worker:
    """The first attempt of a new run, begun."""
    return started(store)
