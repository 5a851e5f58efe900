"""A group of writes whose server goes away: the server is asked once, not once for each write, and nothing is lost."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from resumable.state.outcome import Stored, StoreRefused, StoreUnavailable, WriteOutcome
from resumable.state.sql.database import GuardedStatement, NotBegun
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep, GuardedWrite
from tests.contract.runs import Worker, started
from tests.servers.postgresql import PostgreSQLServer, postgresql

WRITERS = 8
TOO_LARGE = 2**70  # an ordinal that no database takes


@pytest.fixture
def server() -> Iterator[PostgreSQLServer]:
    with postgresql() as running:
        yield running


@pytest.fixture
def store(server: PostgreSQLServer) -> Iterator[SqlStore]:
    with closing(SqlStore(server.new_database())) as opened:
        opened.migrate()
        yield opened


def finishing(worker: Worker, ordinal: int = 0) -> GuardedWrite:
    return GuardedWrite(worker.fence, worker.write(), FinishedStep(name="s", ordinal=ordinal))


def transactions(store: SqlStore, monkeypatch: pytest.MonkeyPatch, server: PostgreSQLServer) -> list[int]:
    """The size of each transaction that is begun from now on. After the first one the server is gone."""
    sizes: list[int] = []
    write_steps = store.database.write_steps

    def noted(group: Sequence[GuardedStatement]) -> list[WriteOutcome]:
        sizes.append(len(group))
        try:
            return write_steps(group)
        finally:
            if len(sizes) == 1:
                server.process.stop(signal.SIGQUIT)

    monkeypatch.setattr(store.database, "write_steps", noted)
    return sizes


def test_a_group_that_can_not_begin_is_not_tried_one_by_one(store: SqlStore, server: PostgreSQLServer) -> None:
    writes = [finishing(started(store)) for _ in range(WRITERS)]
    server.process.stop(signal.SIGQUIT)
    store.write_together(writes)  # finds the connections of the pool broken
    with pytest.MonkeyPatch.context() as patched:
        sizes = transactions(store, patched, server)

        answers = store.write_together(writes)

        assert [type(answer) for answer in answers] == [NotBegun] * WRITERS
        assert sizes == [WRITERS]
    server.process.start()
    assert [type(answer) for answer in store.write_together(writes)] == [Stored] * WRITERS


def test_a_server_that_goes_while_a_group_is_redone_is_asked_once(
    store: SqlStore, server: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = [finishing(started(store), TOO_LARGE if n == WRITERS // 2 else n) for n in range(WRITERS)]
    sizes = transactions(store, monkeypatch, server)

    answers = store.write_together(writes)

    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert len(sizes) <= 3, f"transactions of {sizes} writes: a connection that broke, a server that is away, no more"
    server.process.start()
    stored = [type(answer) for answer in store.write_together(writes)]
    assert stored == [StoreRefused if n == WRITERS // 2 else Stored for n in range(WRITERS)]
