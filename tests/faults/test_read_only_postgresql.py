"""A PostgreSQL that only reads, as a standby does after a failover: it is away, not broken, and workers wait for it."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from resumable.state.outcome import Changed, Stored, StoreUnavailable
from resumable.state.sql.store import SqlStore
from resumable.state.store import NewRun
from tests.contract.runs import Worker, started
from tests.faults.steady_worker import nothing_is_lost, start
from tests.sdk.process import Workplace, wait_for
from tests.servers.postgresql import PostgreSQLServer, postgresql

STEPS = 120


@pytest.fixture
def server() -> Iterator[PostgreSQLServer]:
    with postgresql() as running:
        yield running


def read_only(server: PostgreSQLServer, value: str) -> None:
    """For every transaction that begins from now on, in sessions that are open too."""
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    server.execute("SELECT pg_reload_conf()")


def test_every_kind_of_write_says_that_it_may_work_later_and_does(server: PostgreSQLServer) -> None:
    with closing(SqlStore(server.new_database())) as store:
        store.migrate()
        worker = started(store)
        write = worker.write()
        read_only(server, "on")

        def refused() -> bool:
            """Sessions learn of a new setting a moment later."""
            try:
                store.delete_run("nobody")
            except StoreUnavailable as error:
                return "read-only" in str(error)
            return False

        wait_for(refused, "the server is read-only")
        calls = [
            lambda: worker.finish("a", write=write),
            lambda: worker.save("b", 1),
            lambda: worker.show("c"),
            lambda: store.create_run(NewRun(id="new", namespace="a", name="b")),
            lambda: store.request_stop(worker.fence.run_id, 1, "Suspended"),
            store.collect,
        ]
        for call in calls[:-1]:
            with pytest.raises(StoreUnavailable, match="read-only transaction; try again"):
                call()
        assert store.collect() == 0, "there is nothing to remove, and looking is allowed"
        assert store.list_steps(worker.fence.run_id) == ()

        read_only(server, "off")

        def works() -> bool:
            try:
                return worker.finish("a", write=write) == Stored()
            except StoreUnavailable:
                return False

        wait_for(works, "the server takes writes again")


def test_a_worker_waits_until_writes_are_taken_again(server: PostgreSQLServer, place: Workplace) -> None:
    url = server.new_database()
    with closing(SqlStore(url)) as store:
        store.migrate()
        process = start(place, store, url, steps=STEPS)
        process.wait_for_effect("acknowledged 20")

        read_only(server, "on")
        wait_for(lambda: "read-only transaction" in process.log, "the worker's log says what it waits for")
        read_only(server, "off")

        nothing_is_lost(place, store, process, steps=STEPS)
        assert "the store is back" in process.log


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda worker: worker.finish("a"), id="a step's write"),
        pytest.param(lambda worker: stop(worker), id="a controller's call"),
    ],
)
def test_a_session_that_stays_read_only_is_left_for_a_new_one(
    server: PostgreSQLServer, call: Callable[[Worker], object]
) -> None:
    """After a failover the old primary may go on serving its old connections; new ones reach the new primary."""
    url = server.new_database()
    with closing(SqlStore(url)) as store, psycopg.connect(url, autocommit=True) as administrator:
        store.migrate()
        worker = started(store)
        administrator.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
        store.database.engine.dispose()  # sessions that are made from here on are read-only as long as they live
        with pytest.raises(StoreUnavailable, match="read-only"):
            call(worker)
        administrator.execute("SET default_transaction_read_only = off")
        administrator.execute("ALTER ROLE CURRENT_USER RESET default_transaction_read_only")

        assert isinstance(call(worker), Stored | Changed)


def stop(worker: Worker) -> object:
    return worker.store.request_stop(worker.fence.run_id, 1, "Suspended")
