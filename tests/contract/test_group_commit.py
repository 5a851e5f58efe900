"""Writes of many workers in one transaction."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from resumable.state.outcome import (
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

TOO_LARGE = 2**70  # no database has such an integer: the driver refuses it in the middle of the transaction


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
        yield opened


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


def test_a_write_that_is_refused_before_the_transaction_costs_the_others_nothing(store: SqlStore) -> None:
    one, other = started(store), started(store)

    answers = store.write_together([finishing(one, "x" * 1000), finishing(other, "step")])

    assert [type(answer) for answer in answers] == [StoreRefused, Stored]
    assert "step's name has 1000 characters" in str(answers[0])


def test_a_group_is_one_commit(store: SqlStore) -> None:
    said: list[str] = []
    workers = [started(store) for _ in range(8)]
    with store.database._driver() as driver:  # type: ignore[attr-defined]
        driver.set_trace_callback(said.append)

    assert all(isinstance(answer, Stored) for answer in store.write_together([finishing(w, "s") for w in workers]))

    assert [line for line in said if line in ("BEGIN IMMEDIATE", "COMMIT")] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert sum(line.startswith("INSERT INTO step ") for line in said) == len(workers)


def test_a_database_that_another_holds_makes_a_group_wait_once_not_once_a_write(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_locks_are_taken_by_run_the_strongest_first_then_by_step(store: SqlStore) -> None:
    one, other = started(store, "run-1"), started(store, "run-2")
    writes = [finishing(other, "a"), finishing(one, "b"), saving(one, "a", 1), finishing(other, "0")]

    order = sorted(writes, key=lambda write: lock_order(write, locks_run=write is writes[1]))

    assert [(write.fence.run_id, write.step.name) for write in order] == [
        ("run-1", "b"),  # the strong one
        ("run-1", "a"),
        ("run-2", "0"),
        ("run-2", "a"),
    ]
