"""Servers that are started once a session, lanes on each store, and the matrix's size in the summary."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache

import pytest

from tests.crash.controller import Lane
from tests.crash.matrix import Tally
from tests.crash.stores import STORES, Surroundings
from tests.servers.mariadb import MariaDBServer, mariadb
from tests.servers.postgresql import PostgreSQLServer, postgresql
from tests.servers.redis import RedisServer, redis_server

LANES = 3  # each waits for the disk now and then

_TALLIES = pytest.StashKey[list[Tally]]()


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with ExitStack() as running:

        @cache
        def postgresql_server() -> PostgreSQLServer:
            return running.enter_context(postgresql())

        @cache
        def mariadb_server() -> MariaDBServer:
            return running.enter_context(mariadb())

        @cache
        def redis() -> RedisServer:
            return running.enter_context(redis_server())

        yield Surroundings(tmp_path_factory.mktemp("crash"), postgresql_server, mariadb_server, redis)


@pytest.fixture(scope="session")
def lanes_of(surroundings: Surroundings) -> Iterator[Callable[[str], list[Lane]]]:
    """Lanes on the store of that name, opened when they are first asked for."""
    with ExitStack() as running:

        @cache
        def lanes(store: str) -> list[Lane]:
            around = replace(surroundings, folder=surroundings.folder / store)
            return running.enter_context(STORES[store](around, LANES))

        yield lanes


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[Tally], None]:
    """Adds a matrix to the summary."""
    return request.config.stash.setdefault(_TALLIES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line a store: how many cases, and what they lost."""
    tallies = config.stash.get(_TALLIES, [])
    if tallies:
        terminalreporter.section("crash matrix")
    for store in dict.fromkeys(tally.store for tally in tallies):
        of = [tally for tally in tallies if tally.store == store]
        cases, pairs, calls = (sum(getattr(t, what) for t in of) for what in ("cases", "pairs", "calls"))
        lost, repeated, faulty = sum(t.lost for t in of), sum(t.repeated for t in of), sum(len(t.faulty) for t in of)
        terminalreporter.write_line(
            f"crash matrix: {cases:,} cases on {store} ({len(of)} jobs, {calls} calls, {pairs:,} pairs of faults), "
            f"{lost} lost, {repeated} repeated, {faulty} failed"
        )
