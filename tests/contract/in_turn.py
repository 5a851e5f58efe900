"""Two callers at once, each order made to happen: the first is stopped in the middle of its transaction, at an insert;
the second has to wait for it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from resumable.state.sql.store import SqlStore
from tests.contract.gate import Gate, mariadb_gate, postgresql_gate, sqlite_gate
from tests.contract.stores import Surroundings


@dataclass
class Server:
    """A store whose inserts into a table can be held back; `other` is another process's view of the same database."""

    store: SqlStore
    other: SqlStore
    gate_at: Callable[..., AbstractContextManager[Gate]]
    _threads: ThreadPoolExecutor

    def in_turn(
        self, table: str, first: Callable[[], Any], second: Callable[[], Any], *, when: str = "BEFORE"
    ) -> tuple[Any, Any]:
        """The answers of both, when `second` comes while `first` is about to insert into `table` (or has: AFTER)."""
        with self.gate_at(table, when=when) as closed:
            one: Future[Any] = self._threads.submit(first)
            closed.wait_for(1)
            other: Future[Any] = self._threads.submit(second)
            closed.wait_for(2)  # without the lock on the run's row the second goes through here
            closed.open()
            return one.result(20), other.result(20)


@contextmanager
def running(engine: str, around: Surroundings) -> Iterator[Server]:
    """An empty database of this engine."""
    if engine == "sqlite":
        url = f"sqlite:///{around.folder / 'raced.db'}"
    else:
        url = (around.postgresql() if engine == "postgresql" else around.mariadb()).new_database()
    with closing(SqlStore(url)) as store, closing(SqlStore(url)) as other, ThreadPoolExecutor() as threads:
        store.migrate()
        gates: dict[str, Callable[..., AbstractContextManager[Gate]]] = {
            "sqlite": partial(sqlite_gate, store=store, other=other),
            "postgresql": partial(postgresql_gate, url=url),
            "mariadb": lambda table, when: mariadb_gate(table, url, around.mariadb(), when=when),
        }
        yield Server(store, other, gates[engine], threads)
