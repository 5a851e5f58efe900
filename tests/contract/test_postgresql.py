"""Races on a real PostgreSQL, each made to have one outcome; what the server's failures become; its grade."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from resumable.state.outcome import AlreadyStored, Begun, Changed, Fenced, Stale, Stopped, Stored, StoreUnavailable
from resumable.state.record import EndKind, RunStatus
from resumable.state.sql import postgresql as postgresql_module
from resumable.state.sql.postgresql import PostgreSQL
from resumable.state.sql.store import SqlStore
from resumable.state.sql.tables import run as run_table
from resumable.state.store import AttemptEnd, Expected
from tests.contract.gate import postgresql_gate as gate_before
from tests.contract.runs import Worker, changed, encoded, minted, names, new_run, run_of, started
from tests.servers.lossy_proxy import lossy_proxy
from tests.servers.postgresql import PostgreSQLServer, postgresql

END = AttemptEnd(attempt=1, kind=EndKind.INTERRUPTION, cause="Evicted", to=RunStatus.INTERRUPTED)


@pytest.fixture
def url(postgresql_server: PostgreSQLServer) -> str:
    return postgresql_server.new_database()


@pytest.fixture
def pg(url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(url)) as store:
        store.migrate()
        yield store


At = Callable[..., Future[Any]]


def test_a_mint_waits_for_a_step_that_is_being_written_and_the_next_attempt_reads_it(
    pg: SqlStore, url: str, at_once: At
) -> None:
    worker = started(pg)
    run = run_of(pg, worker.fence.run_id)
    with gate_before("step", url) as gate:
        finish = at_once(worker.finish, "late")
        gate.wait_for(1)
        mint = at_once(pg.mint, run.id, Expected.of(run), "b" * 32)
        gate.wait_for(
            2
        )  # without FOR SHARE the mint goes through here, and the step lands after the next attempt has read
        gate.open()
        assert finish.result(20) == Stored()
        run = changed(mint.result(20))
    begun = Worker(pg, run.fence).begin()
    assert names(begun.steps) == ["late"]


def test_a_stale_write_that_meets_a_mint_waits_for_it_and_is_fenced(pg: SqlStore, url: str, at_once: At) -> None:
    worker = started(pg)
    run = run_of(pg, worker.fence.run_id)
    with gate_before("attempt", url) as gate:
        mint = at_once(pg.mint, run.id, Expected.of(run), "b" * 32)
        gate.wait_for(1)
        finish = at_once(worker.finish, "late")
        save = at_once(worker.save, "later", 1)
        gate.wait_for(3)
        gate.open()
        assert isinstance(mint.result(20), Changed)
        assert finish.result(20) == Fenced(2, "attempt 2 is the current one")
        assert save.result(20) == Fenced(2, "attempt 2 is the current one")
    assert pg.list_steps(run.id) == ()


def test_a_step_that_meets_the_counting_of_its_attempts_end_is_stopped(pg: SqlStore, url: str, at_once: At) -> None:
    worker = started(pg)
    with gate_before("event", url) as gate:
        count = at_once(pg.count_end, worker.fence.run_id, END)
        gate.wait_for(1)
        finish = at_once(worker.finish, "late")
        gate.wait_for(2)
        gate.open()
        assert isinstance(count.result(20), Changed)
        assert finish.result(20) == Stopped(RunStatus.INTERRUPTED)


def test_of_two_mints_at_once_one_wins(pg: SqlStore, url: str, at_once: At) -> None:
    run = new_run(pg)
    with gate_before("attempt", url) as gate:
        mints = [at_once(pg.mint, run.id, Expected.of(run), nonce * 32) for nonce in "ab"]
        gate.wait_for(2)
        gate.open()
        outcomes = sorted((mint.result(20) for mint in mints), key=lambda outcome: isinstance(outcome, Stale))
    now = run_of(pg, run.id)
    assert outcomes == [Changed(now), Stale(now)]
    assert now.attempt == 1


def test_of_two_processes_that_begin_at_once_one_is_fenced(pg: SqlStore, url: str, at_once: At) -> None:
    run = minted(pg, new_run(pg))
    with gate_before("event", url) as gate:
        begins = [at_once(Worker(pg, run.fence).begin) for _ in range(2)]
        gate.wait_for(2)
        gate.open()
        kinds = sorted(type(begin.result(20)).__name__ for begin in begins)
    assert kinds == ["Begun", "Fenced"]


def test_an_end_that_two_controllers_count_at_once_is_counted_once(pg: SqlStore, url: str, at_once: At) -> None:
    worker = started(pg)
    with gate_before("event", url) as gate:
        counts = [at_once(pg.count_end, worker.fence.run_id, END) for _ in range(2)]
        gate.wait_for(2)
        gate.open()
        assert [count.result(20) for count in counts] == [Changed(run_of(pg, worker.fence.run_id))] * 2
    assert [event.type for event in pg.list_events(worker.fence.run_id)].count("AttemptEnded") == 1


def test_an_end_that_the_worker_is_writing_stands_against_the_count_that_waits(
    pg: SqlStore, url: str, at_once: At
) -> None:
    worker = started(pg)
    with gate_before("event", url) as gate:
        end = at_once(worker.end, RunStatus.SUCCEEDED)
        gate.wait_for(1)
        count = at_once(pg.count_end, worker.fence.run_id, END)
        gate.wait_for(2)
        gate.open()
        assert end.result(20) == Stored()
        assert isinstance(count.result(20), Changed)
    assert run_of(pg, worker.fence.run_id).status is RunStatus.SUCCEEDED


def test_a_write_and_its_duplicate_at_once_store_one_step(pg: SqlStore, url: str, at_once: At) -> None:
    worker = started(pg)
    write = worker.write()
    with gate_before("step", url) as gate:
        twice = [at_once(worker.finish, "load", 1, write=write) for _ in range(2)]
        gate.wait_for(2)
        gate.open()
        kinds = sorted(type(outcome.result(20)).__name__ for outcome in twice)
    assert kinds == ["AlreadyStored", "Stored"]
    assert pg.list_steps(worker.fence.run_id)[0].tries == 1


def test_a_write_whose_reply_was_lost_is_unknown_and_then_already_stored(
    pg: SqlStore, url: str, postgresql_server: PostgreSQLServer
) -> None:
    worker = started(pg)
    database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with lossy_proxy("127.0.0.1", postgresql_server.port) as proxy:
        through = f"postgresql://resumable@127.0.0.1:{proxy.port}/{database}"
        with closing(SqlStore(through)) as far:
            worker.store = far
            worker.finish("first")
            write = worker.write()
            proxy.lose_next_reply()
            with pytest.raises(StoreUnavailable):
                worker.finish("second", 2, write=write)
            assert proxy.lost.is_set()
            # The server may still be about to commit: the repeated write waits for it, whichever way it goes.
            assert worker.finish("second", 2, write=write) in (AlreadyStored(), Stored())
    assert names(pg.list_steps(worker.fence.run_id)) == ["first", "second"]


def test_a_write_whose_server_process_is_ended_before_the_commit_did_not_land(
    pg: SqlStore, url: str, at_once: At
) -> None:
    worker = started(pg)
    write = worker.write()
    with gate_before("step", url) as gate, psycopg.connect(url, autocommit=True) as admin:
        finish = at_once(worker.finish, "load", 1, write=write)
        gate.wait_for(1)
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'WITH guarded%'")
        with pytest.raises(StoreUnavailable):
            finish.result(20)
        gate.open()
        assert worker.finish("load", 1, write=write) == Stored()


def test_all_connections_ended_by_the_server_are_replaced(pg: SqlStore, url: str) -> None:
    worker = started(pg)
    worker.finish("first")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreUnavailable):
        worker.finish("second")
    assert worker.finish("third") == Stored()


def test_a_mint_does_not_wait_forever_for_a_lock(
    pg: SqlStore, url: str, at_once: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = started(pg)
    run = run_of(pg, worker.fence.run_id)
    monkeypatch.setitem(postgresql_module.SESSION, "lock_timeout", "100ms")
    with gate_before("step", url) as gate, closing(SqlStore(url)) as impatient:
        finish = at_once(worker.finish, "slow")
        gate.wait_for(1)
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            impatient.mint(run.id, Expected.of(run), "b" * 32)
        gate.open()
        assert finish.result(20) == Stored()


def test_a_controller_that_is_cut_off_in_a_transaction_does_not_hold_the_run(
    pg: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = started(pg)
    monkeypatch.setitem(postgresql_module.SESSION, "idle_in_transaction_session_timeout", "100ms")
    with closing(PostgreSQL(url)) as cut_off:
        silent = cut_off.writing()
        connection = silent.__enter__()
        connection.execute(cut_off.lock_row(select(run_table).where(run_table.c.id == worker.fence.run_id)))
        assert worker.finish("load") == Stored()  # waits until the server ends the silent session
        with pytest.raises(StoreUnavailable):
            silent.__exit__(None, None, None)


def test_steps_payloads_and_heartbeats_of_one_worker_do_not_deadlock(pg: SqlStore, at_once: At) -> None:
    worker = started(pg)
    store, fence = pg, worker.fence

    def work(thread: int) -> set[object]:
        mine = Worker(store, fence, sequence=thread * 1000)
        seen: set[object] = set()
        for number in range(20):
            seen.add(mine.finish(f"step-{thread}-{number}"))
            seen.add(store.save_payload(fence, mine.write(), encoded(number)))
            seen.add(mine.show("common"))
        return seen

    results = [at_once(work, thread) for thread in range(6)]
    assert [result.result(60) for result in results] == [{Stored()}] * 6


def test_a_database_default_of_serializable_changes_nothing(url: str, at_once: At) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        admin.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'")
    with closing(SqlStore(url)) as store:
        store.migrate()
        test_a_stale_write_that_meets_a_mint_waits_for_it_and_is_fenced(store, url, at_once)


def test_a_server_that_does_not_wait_for_its_disk_is_graded_volatile(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        admin.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    with closing(SqlStore(url)) as store:
        store.migrate()
        info = store.info()
        assert not info.durable
        assert "synchronous_commit=off" in info.durability


def test_a_server_without_fsync_is_graded_volatile() -> None:
    with postgresql(fsync="off") as server, closing(SqlStore(server.url())) as store:
        store.migrate()
        assert not store.info().durable
        assert "fsync=off" in store.info().durability


def test_a_durable_server_says_what_a_failover_may_lose(pg: SqlStore) -> None:
    assert pg.info().durable
    assert "failover" in pg.info().durability


def test_a_password_is_in_no_message() -> None:
    for url in ("postgresql://resumable:hunter2@127.0.0.1:1/none", "postgresql://127.0.0.1:1/none?password=hunter2"):
        with closing(SqlStore(url)) as store, pytest.raises(StoreUnavailable) as raised:
            store.get_run("x")
        assert "hunter2" not in str(raised.value)


def test_a_server_that_is_away_is_unavailable() -> None:
    with closing(SqlStore("postgresql://resumable@127.0.0.1:1/none")) as store, pytest.raises(StoreUnavailable):
        store.get_run("x")


def test_a_begin_is_answered_the_same_after_its_connection_was_lost(
    pg: SqlStore, url: str, postgresql_server: PostgreSQLServer
) -> None:
    run = minted(pg, new_run(pg))
    database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with lossy_proxy("127.0.0.1", postgresql_server.port) as proxy:
        through = f"postgresql://resumable@127.0.0.1:{proxy.port}/{database}"
        with closing(SqlStore(through)) as far:
            far.get_run(run.id)  # connected
            worker = Worker(far, run.fence)
            proxy.lose_next_reply()
            with pytest.raises(StoreUnavailable):
                worker.begin()
            assert isinstance(worker.begin(), Begun)
