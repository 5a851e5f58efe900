"""More callers than connections: they wait or are told to try again, and nothing is lost."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import psycopg
import pytest

from resumable.state.outcome import AlreadyStored, Stored, StoreUnavailable
from resumable.state.record import Write
from resumable.state.sql import postgresql as postgresql_module
from resumable.state.sql.store import SqlStore
from tests.contract.runs import Worker, started
from tests.servers.postgresql import PostgreSQLServer, postgresql


@pytest.fixture
def small_server() -> Iterator[PostgreSQLServer]:
    """One that takes few connections."""
    with postgresql(max_connections="8", superuser_reserved_connections="0") as running:
        yield running


def test_a_pool_that_is_used_up_says_so_and_works_again(
    small_server: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_module, "POOL", {"pool_size": 2, "max_overflow": 1, "pool_timeout": 0.2})
    with closing(SqlStore(small_server.new_database())) as store:
        store.migrate()
        worker = started(store)
        write = worker.write()
        with ExitStack() as held:
            for _ in range(3):
                held.enter_context(store.database.engine.connect())
            with pytest.raises(StoreUnavailable, match="all connections are in use; try again"):
                worker.finish("a", write=write)
            with pytest.raises(StoreUnavailable, match="all connections are in use; try again"):
                store.get_run(worker.fence.run_id)
        assert worker.finish("a", write=write) == Stored()


def test_a_server_that_takes_no_more_clients_is_away_until_one_leaves(small_server: PostgreSQLServer) -> None:
    url = small_server.new_database()
    with closing(SqlStore(url)) as store:
        store.migrate()
        worker = started(store)
        write = worker.write()
        store.database.engine.dispose()
        with ExitStack() as held:
            _take_all(url, held)
            with pytest.raises(StoreUnavailable, match=r"too many clients already.*; try again"):
                worker.finish("a", write=write)
        assert _finish(worker, "a", write) == Stored()


def _take_all(url: str, held: ExitStack) -> None:
    """Every connection that the server gives."""
    taken = 0
    with suppress(psycopg.OperationalError):
        for _ in range(9):
            held.enter_context(closing(psycopg.connect(url)))
            taken += 1
    assert taken < 9, "a server with max_connections=8 gave nine"


def test_many_threads_on_few_connections_lose_nothing(small_server: PostgreSQLServer) -> None:
    """Two programs with pools of 32 each, 24 threads each, on a server that takes 8 connections."""
    url = small_server.new_database()
    with ExitStack() as open_stores, ThreadPoolExecutor(48) as threads:
        stores = [open_stores.enter_context(closing(SqlStore(url))) for _ in range(2)]
        stores[0].migrate()
        workers = [started(stores[0]) for _ in range(48)]
        for number, worker in enumerate(workers):
            worker.store = stores[number % 2]

        list(threads.map(_twenty_steps, workers))

        for worker in workers:
            assert len(stores[0].list_steps(worker.fence.run_id)) == 20


def _twenty_steps(worker: Worker) -> None:
    for number in range(20):
        assert isinstance(_finish(worker, f"s{number}", worker.write()), Stored | AlreadyStored)


def _finish(worker: Worker, name: str, write: Write) -> object:
    deadline = time.monotonic() + 60
    while True:
        try:
            return worker.finish(name, write=write)
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.02)
