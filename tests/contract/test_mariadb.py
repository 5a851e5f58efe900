"""Races on a real MariaDB, each made to have one outcome; what the server's failures become; its grade."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from resumable.state.outcome import AlreadyStored, Changed, Fenced, Stale, Stored, StoreUnavailable
from resumable.state.sql import mariadb as mariadb_module
from resumable.state.sql.schema import SCHEMA_VERSION
from resumable.state.sql.store import SqlStore
from resumable.state.store import Expected
from tests.contract import first_version
from tests.contract.gate import mariadb_gate as gate_before
from tests.contract.runs import Worker, changed, encoded, names, new_run, run_of, started
from tests.servers.lossy_proxy import lossy_proxy
from tests.servers.mariadb import MariaDBServer, mariadb

At = Callable[..., Future[Any]]


@pytest.fixture
def url(mariadb_server: MariaDBServer) -> str:
    return mariadb_server.new_database()


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(url)) as opened:
        opened.migrate()
        yield opened


def test_a_mint_waits_for_a_step_that_is_being_written_and_the_next_attempt_reads_it(
    store: SqlStore, url: str, mariadb_server: MariaDBServer, at_once: At
) -> None:
    worker = started(store)
    run = run_of(store, worker.fence.run_id)
    with gate_before("step", url, mariadb_server) as gate:
        finish = at_once(worker.finish, "late")
        gate.wait_for(1)
        mint = at_once(store.mint, run.id, Expected.of(run), "b" * 32)
        gate.wait_for(2)  # without LOCK IN SHARE MODE the mint goes through here
        gate.open()
        assert finish.result(20) == Stored()
        run = changed(mint.result(20))
    assert names(Worker(store, run.fence).begin().steps) == ["late"]


def test_a_stale_write_that_meets_a_mint_waits_for_it_and_is_fenced(
    store: SqlStore, url: str, mariadb_server: MariaDBServer, at_once: At
) -> None:
    worker = started(store)
    run = run_of(store, worker.fence.run_id)
    with gate_before("attempt", url, mariadb_server) as gate:
        mint = at_once(store.mint, run.id, Expected.of(run), "b" * 32)
        gate.wait_for(1)
        writes = [at_once(worker.finish, "late"), at_once(worker.save, "later", 1)]
        gate.wait_for(3)
        gate.open()
        assert isinstance(mint.result(20), Changed)
        assert [write.result(20) for write in writes] == [Fenced(2, "attempt 2 is the current one")] * 2
    assert store.list_steps(run.id) == ()


def test_of_two_mints_at_once_one_wins(store: SqlStore, url: str, mariadb_server: MariaDBServer, at_once: At) -> None:
    run = new_run(store)
    with gate_before("attempt", url, mariadb_server) as gate:
        mints = [at_once(store.mint, run.id, Expected.of(run), nonce * 32) for nonce in "ab"]
        gate.wait_for(2)
        gate.open()
        outcomes = sorted((mint.result(20) for mint in mints), key=lambda outcome: isinstance(outcome, Stale))
    now = run_of(store, run.id)
    assert outcomes == [Changed(now), Stale(now)]
    assert now.attempt == 1


def test_writers_of_one_run_do_not_wait_for_each_other(
    store: SqlStore, url: str, mariadb_server: MariaDBServer, at_once: At
) -> None:
    worker = started(store)
    with gate_before("cursor", url, mariadb_server) as gate:
        save = at_once(Worker(store, worker.fence, sequence=100).save, "slow", 1)
        gate.wait_for(1)
        assert worker.finish("fast") == Stored()
        gate.open()
        assert save.result(20) == Stored()


def test_a_write_and_its_duplicate_at_once_store_one_step(
    store: SqlStore, url: str, mariadb_server: MariaDBServer, at_once: At
) -> None:
    worker = started(store)
    write = worker.write()
    with gate_before("step", url, mariadb_server) as gate:
        twice = [at_once(worker.finish, "load", 1, write=write) for _ in range(2)]
        gate.wait_for(2)
        gate.open()
        kinds = sorted(type(outcome.result(20)).__name__ for outcome in twice)
    assert kinds == ["AlreadyStored", "Stored"]
    assert store.list_steps(worker.fence.run_id)[0].tries == 1


def test_steps_payloads_and_heartbeats_of_one_worker_do_not_deadlock(store: SqlStore, at_once: At) -> None:
    worker = started(store)

    def work(thread: int) -> set[object]:
        mine = Worker(store, worker.fence, sequence=thread * 1000)
        seen: set[object] = set()
        for number in range(20):
            seen.add(mine.finish(f"step-{thread}-{number}"))
            seen.add(store.save_payload(worker.fence, mine.write(), encoded(number)))
            seen.add(mine.show("common"))
        return seen

    assert [result.result(60) for result in [at_once(work, thread) for thread in range(6)]] == [{Stored()}] * 6


def test_a_mint_does_not_wait_forever_for_a_lock(
    store: SqlStore, url: str, mariadb_server: MariaDBServer, at_once: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = started(store)
    run = run_of(store, worker.fence.run_id)
    monkeypatch.setitem(mariadb_module.SESSION, "innodb_lock_wait_timeout", "1")
    with gate_before("step", url, mariadb_server) as gate, closing(SqlStore(url)) as impatient:
        finish = at_once(worker.finish, "slow")
        gate.wait_for(1)
        with pytest.raises(StoreUnavailable, match="Lock wait timeout"):
            impatient.mint(run.id, Expected.of(run), "b" * 32)
        gate.open()
        assert finish.result(20) == Stored()


def test_a_write_whose_reply_was_lost_is_unknown_and_lands_once(
    store: SqlStore, url: str, mariadb_server: MariaDBServer
) -> None:
    worker = started(store)
    with lossy_proxy("127.0.0.1", mariadb_server.port) as proxy:
        database = make_url(url).database or ""
        with closing(SqlStore(mariadb_server.url(database, port=proxy.port))) as far:
            worker.store = far
            worker.finish("first")
            write = worker.write()
            proxy.lose_next_reply()
            with pytest.raises(StoreUnavailable):
                worker.finish("second", 2, write=write)
            assert worker.finish("second", 2, write=write) in (AlreadyStored(), Stored())
    assert names(store.list_steps(worker.fence.run_id)) == ["first", "second"]


def test_names_and_keys_are_the_same_only_if_their_bytes_are(store: SqlStore) -> None:
    worker = started(store)
    written = [("load", ""), ("Load", ""), ("load ", ""), ("load", "a"), ("load", "A"), ("load", "a "), ("löad", "")]
    assert [worker.finish(name, key=key) for name, key in written] == [Stored()] * len(written)
    assert {(step.name, step.key) for step in store.list_steps(worker.fence.run_id)} == set(written)


def test_a_result_of_more_than_64_kilobytes_is_stored(store: SqlStore) -> None:
    worker = started(store)
    assert worker.finish("big", "x" * 1_000_000) == Stored()
    assert store.list_steps(worker.fence.run_id)[0].result == encoded("x" * 1_000_000)


def test_a_migration_that_was_killed_half_way_is_finished_by_the_next(url: str, mariadb_server: MariaDBServer) -> None:
    with closing(SqlStore(url)) as store:
        store.migrate()
    database = make_url(url).database
    for statement in ("DROP TABLE {}.step", "DROP TABLE {}.store", "DELETE FROM {}.schema_version"):
        mariadb_server.execute(statement.format(database))
    mariadb_server.execute(f"DROP INDEX run_by_namespace ON {database}.run")
    with closing(SqlStore(url)) as store:
        store.migrate()
        assert store.info().schema_version == SCHEMA_VERSION
        assert started(store).finish("load") == Stored()


def test_an_upgrade_that_was_killed_half_way_is_finished_by_the_next(url: str, mariadb_server: MariaDBServer) -> None:
    first_version.fill(url)
    database = make_url(url).database
    for statement in (
        "ALTER TABLE {}.run ADD COLUMN wake_at BIGINT NULL",
        "ALTER TABLE {}.step ADD COLUMN failures INTEGER NOT NULL DEFAULT 0",
    ):
        mariadb_server.execute(statement.format(database))
    with closing(SqlStore(url)) as store:
        store.migrate()
        assert store.info().schema_version == SCHEMA_VERSION
        assert started(store).finish("load") == Stored()


def test_a_server_that_does_not_wait_for_its_disk_is_graded_volatile() -> None:
    with mariadb(**{"innodb-flush-log-at-trx-commit": "2"}) as server, closing(SqlStore(server.new_database())) as far:
        far.migrate()
        assert not far.info().durable
        assert "innodb_flush_log_at_trx_commit=2" in far.info().durability


def test_a_durable_server_says_what_a_failover_may_lose(store: SqlStore) -> None:
    assert store.info().durable
    assert "failover" in store.info().durability


def test_a_server_that_is_away_is_unavailable_and_its_password_in_no_message() -> None:
    with (
        closing(SqlStore("mysql://resumable:hunter2@127.0.0.1:1/none")) as far,
        pytest.raises(StoreUnavailable) as raised,
    ):
        far.get_run("x")
    assert "hunter2" not in str(raised.value)
