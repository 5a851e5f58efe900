"""Writes of many workers in one transaction."""

import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from resumable.state.outcome import (
    AlreadyDone,
    AlreadyStored,
    Fenced,
    Rewound,
    Stored,
    StoreRefused,
    StoreUnavailable,
)
from resumable.state.record import StepStatus, Write, WriteRef
from resumable.state.sql import sqlite
from resumable.state.sql.group import lock_order
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep, GuardedWrite, SavedCursor
from tests.contract.runs import Worker, encoded, minted, run_of, started, step_of
from tests.servers.lossy_proxy import lossy_proxy
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

TOO_LARGE = 2**70  # no database has such an integer: the driver refuses it in the middle of the transaction


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
        yield opened


@pytest.fixture
def postgresql_url(postgresql_server: PostgreSQLServer) -> str:
    return postgresql_server.new_database()


@pytest.fixture
def postgresql_store(postgresql_url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(postgresql_url)) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def mariadb_store(mariadb_server: MariaDBServer) -> Iterator[SqlStore]:
    """It writes no groups: each write has a commit of its own, and the same answer."""
    with closing(SqlStore(mariadb_server.new_database())) as opened:
        opened.migrate()
        yield opened


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def store(request: pytest.FixtureRequest) -> SqlStore:
    opened: SqlStore = request.getfixturevalue(f"{request.param}_store")
    return opened


def finishing(worker: Worker, name: str, ordinal: int = 0) -> GuardedWrite:
    return GuardedWrite(worker.fence, worker.write(), FinishedStep(name=name, ordinal=ordinal, result=encoded(name)))


def saving(worker: Worker, name: str, value: int) -> GuardedWrite:
    return GuardedWrite(worker.fence, worker.write(), SavedCursor(name=name, value=encoded(value)))


def test_each_write_gets_its_own_answer_in_the_order_of_the_calls(store: SqlStore) -> None:
    workers = [started(store) for _ in range(3)]
    stale = started(store)
    minted(store, run_of(store, stale.fence.run_id))
    lost = WriteRef("step", "gone", "", "ab" * 16, 1)
    rewound = GuardedWrite(workers[0].fence, Write("cd" * 16, 9, lost), FinishedStep(name="after"))
    sent_twice = finishing(workers[2], "b")

    answers = store.write_together(
        [sent_twice, finishing(stale, "late"), finishing(workers[0], "a"), saving(workers[1], "c", 5), rewound]
    )

    assert [type(answer) for answer in answers] == [Stored, Fenced, Stored, Stored, Rewound]
    assert [type(answer) for answer in store.write_together([sent_twice, finishing(workers[1], "d")])] == [
        AlreadyStored,
        Stored,
    ]
    assert step_of(workers[0], "a").result == encoded("a")
    assert step_of(workers[2], "b").status is StepStatus.DONE
    assert [cursor.value for cursor in store.list_cursors(workers[1].fence.run_id)] == [encoded(5)]
    assert store.list_steps(stale.fence.run_id) == ()


def test_a_write_that_fails_inside_the_transaction_costs_the_others_nothing(store: SqlStore) -> None:
    workers = [started(store) for _ in range(5)]
    writes = [finishing(worker, "step", TOO_LARGE if n == 2 else n) for n, worker in enumerate(workers)]

    answers = store.write_together(writes)

    assert [type(answer) for answer in answers] == [Stored, Stored, StoreRefused, Stored, Stored]
    assert [len(store.list_steps(worker.fence.run_id)) for worker in workers] == [1, 1, 0, 1, 1]


def test_steps_that_were_begun_failed_or_done_are_written_in_a_group_as_alone(store: SqlStore) -> None:
    failed, shown, saved, done, fresh = workers = [started(store) for _ in range(5)]
    failed.finish("s", error="no")
    shown.show("s", running_ms=5)
    saved.save("s", 1)
    done.finish("s", "first")

    answers = store.write_together([finishing(worker, "s") for worker in workers])

    assert [type(answer) for answer in answers] == [Stored, Stored, Stored, AlreadyDone, Stored]
    assert [step_of(worker, "s").result for worker in workers] == [
        encoded("first") if worker is done else encoded("s") for worker in workers
    ]
    assert [step_of(worker, "s").tries for worker in workers] == [2, 1, 1, 1, 1]
    assert step_of(fresh, "s").status is StepStatus.DONE


def test_a_payload_goes_with_its_step_in_a_group(store: SqlStore) -> None:
    one, other = started(store), started(store)
    changed = FinishedStep(name="b", result=encoded(1), payload=encoded({"customer": 7}))

    answers = store.write_together(
        [finishing(one, "a"), GuardedWrite(one.fence, one.write(), changed), finishing(other, "a")]
    )

    assert [type(answer) for answer in answers] == [Stored] * 3
    assert run_of(store, one.fence.run_id).payload == encoded({"customer": 7})
    assert run_of(store, other.fence.run_id).payload is None
    assert [step.name for step in store.list_steps(one.fence.run_id)] == ["a", "b"]


def test_groups_that_meet_in_the_same_runs_do_not_wait_for_each_other_forever(store: SqlStore) -> None:
    """Two replicas of a service, each with a group that takes the rows of the same runs, some for a payload."""
    workers = [started(store) for _ in range(6)]
    together = threading.Barrier(4)

    def group(number: int, turn: int) -> list[object]:
        writes = [
            GuardedWrite(
                worker.fence,
                Write(secrets.token_hex(16), 1 + turn * 100 + number * 10 + n),
                FinishedStep(name=f"s-{number}-{turn}-{n}", payload=encoded(turn) if (n + number) % 3 == 0 else None),
            )
            for n, worker in enumerate(workers if number % 2 else workers[::-1])
            for _ in range(2)
        ]
        return list(store.write_together(writes))

    def replica(number: int) -> list[object]:
        together.wait(20)
        return [answer for turn in range(10) for answer in group(number, turn)]

    with ThreadPoolExecutor(4) as threads:
        answers = [answer for found in threads.map(replica, range(4)) for answer in found]

    assert {type(answer) for answer in answers} <= {Stored, AlreadyDone, AlreadyStored}
    assert sum(len(store.list_steps(worker.fence.run_id)) for worker in workers) == 4 * 10 * 6


def test_a_run_that_somebody_holds_does_not_hold_up_the_others(postgresql_store: SqlStore, postgresql_url: str) -> None:
    store = postgresql_store
    held, *others = workers = [started(store) for _ in range(5)]
    with psycopg.connect(postgresql_url) as holder:
        holder.execute("SELECT 1 FROM run WHERE id = %s FOR UPDATE", (held.fence.run_id,))
        begun = time.monotonic()
        answers = store.write_together([finishing(worker, "s") for worker in workers])
        assert time.monotonic() - begun < 5, "each has waited as long as a mint may take"
    unavailable, *stored = answers
    assert isinstance(unavailable, StoreUnavailable)
    assert [type(answer) for answer in stored] == [Stored] * len(others)
    assert isinstance(held.finish("s"), Stored)


def test_a_group_whose_commit_was_not_answered_is_there_once(
    postgresql_store: SqlStore, postgresql_server: PostgreSQLServer, postgresql_url: str
) -> None:
    """Nobody knows whether it landed: sent again, each alone, with the same ids."""
    workers = [started(postgresql_store) for _ in range(4)]
    with lossy_proxy("127.0.0.1", postgresql_server.port) as proxy:
        address = make_url(postgresql_url).set(host="127.0.0.1", port=proxy.port, query={})
        with closing(SqlStore(address.render_as_string())) as store:
            store.write_together([finishing(worker, "before") for worker in workers])
            proxy.lose_reply_to(re.compile(b"COMMIT"))

            answers = store.write_together([finishing(worker, "s", 1) for worker in workers])

            assert proxy.lost.is_set(), "no reply was lost"
            assert [type(answer) for answer in answers] == [AlreadyStored] * 4
    assert [[step.tries for step in postgresql_store.list_steps(worker.fence.run_id)] for worker in workers] == [
        [1, 1]
    ] * 4


def test_a_write_that_is_refused_before_the_transaction_costs_the_others_nothing(store: SqlStore) -> None:
    one, other = started(store), started(store)

    answers = store.write_together([finishing(one, "x" * 1000), finishing(other, "step")])

    assert [type(answer) for answer in answers] == [StoreRefused, Stored]
    assert "step's name has 1000 characters" in str(answers[0])


def test_a_group_is_one_commit(sqlite_store: SqlStore) -> None:
    store, said = sqlite_store, list[str]()
    workers = [started(store) for _ in range(8)]
    with store.database.driver() as driver:
        driver.set_trace_callback(said.append)

    assert all(isinstance(answer, Stored) for answer in store.write_together([finishing(w, "s") for w in workers]))

    assert [line for line in said if line in ("BEGIN IMMEDIATE", "COMMIT")] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert sum(line.startswith("INSERT INTO step ") for line in said) == len(workers)


def test_a_database_that_another_holds_makes_a_group_wait_once_not_once_a_write(
    sqlite_store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.2)
    with (
        closing(SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")) as impatient,
        closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as other,
    ):
        workers = [started(impatient) for _ in range(20)]
        writes = [finishing(worker, "step") for worker in workers]
        other.execute("BEGIN IMMEDIATE")
        answers: list[object] = []
        waiting = threading.Thread(target=lambda: answers.extend(impatient.write_together(writes)))
        waiting.start()
        waiting.join(20 * 0.2)
        assert not waiting.is_alive(), "each write waited for the lock by itself"
        assert {type(answer) for answer in answers} <= {StoreUnavailable} | set(StoreUnavailable.__subclasses__())
        assert len(answers) == len(writes)
        other.execute("ROLLBACK")
        assert all(isinstance(answer, Stored) for answer in impatient.write_together(writes))


def test_locks_are_taken_by_run_the_strongest_first_then_by_step(sqlite_store: SqlStore) -> None:
    one, other = started(sqlite_store, "run-1"), started(sqlite_store, "run-2")
    writes = [finishing(other, "a"), finishing(one, "b"), saving(one, "a", 1), finishing(other, "0")]

    order = sorted(writes, key=lambda write: lock_order(write, locks_run=write is writes[1]))

    assert [(write.fence.run_id, write.step.name) for write in order] == [
        ("run-1", "b"),  # the strong one
        ("run-1", "a"),
        ("run-2", "0"),
        ("run-2", "a"),
    ]
