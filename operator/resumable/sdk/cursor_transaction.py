"""A cursor that is committed together with the batch that it counts: rows exactly once, in the author's own database.

There the cursor is a row (`resumable_cursor`) that each batch's transaction claims first: it must be as this try knows
it, and no later attempt may have written. So a worker that was believed dead commits no batch a second time: it finds
the row changed, and its transaction is refused.

What the author's database says counts, not what our store says: a process may have been killed between the two. Then
the step begins once more, from there, before it has done anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from resumable.sdk.attempt import Attempt
from resumable.sdk.errors import CursorMoved, Fenced, InvalidStep
from resumable.sdk.running_step import RunningStep
from resumable.sdk.transaction import identity_of
from resumable.state.record import Encoded

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class _NotAsKnown(Exception):
    """The row in the author's database is not the one that this try goes by."""


class CursorTransactions:
    """The batches of one try of a step. Raises `InvalidStep` for what is no engine."""

    def __init__(self, attempt: Attempt, running: RunningStep, engine: "Engine") -> None:
        from sqlalchemy import Engine

        from resumable.sdk import transaction_tables

        if not isinstance(engine, Engine):
            raise InvalidStep(
                f"step {running.label!r}: step.transaction() takes an SQLAlchemy Engine, not async, not a"
                f" {type(engine).__module__}.{type(engine).__qualname__}"
            )
        self._tables = transaction_tables
        self._attempt = attempt
        self._running = running
        self._engine = engine
        self._identity = identity_of(attempt, running.name, running.key)
        self._sequence: int | None = None  # of the row, as this try knows it; None: not looked yet
        self._connection: Connection | None = None
        self._saved: Encoded | None = None
        transaction_tables.make_tables(engine)

    def check_same(self, engine: "Engine") -> None:
        """Raises `InvalidStep` for another engine: a step's cursor is in one database."""
        if engine is not self._engine:
            raise InvalidStep(
                f"step {self._running.label!r}: step.transaction() is given another engine than before; a step's cursor"
                " is in one database: use one engine, made outside the loop"
            )

    @property
    def open(self) -> bool:
        """Whether a batch is under way."""
        return self._connection is not None

    @contextmanager
    def batch(self, known: Encoded | None) -> "Iterator[Connection]":
        """One transaction. `known`: the cursor that the step goes by.

        Raises `CursorMoved` when the author's database has another one, `Fenced` when a later attempt has written.
        """
        try:
            with self._engine.begin() as connection:
                sequence = self._claim(connection, known)
                self._connection, self._saved = connection, None
                try:
                    yield connection
                finally:
                    self._connection = None
                self._attempt.check_in_time(self._running)
                self._attempt.interruption.raise_if_left()
            self._sequence = sequence + 1 if self._saved else sequence
        except _NotAsKnown:
            self._refuse()

    def save(self, value: Encoded) -> None:
        """Write the cursor into the transaction that is under way."""
        if self._connection is None:
            raise RuntimeError("no transaction is under way")
        row = self._tables.CursorRow(value, self._attempt.fence.attempt, (self._sequence or 0) + 1)
        self._tables.write_cursor(self._connection, self._identity, row)
        self._saved = value

    @property
    def saved(self) -> Encoded | None:
        """The cursor that the last batch has saved; None: it saved none."""
        return self._saved

    def _claim(self, connection: "Connection", known: Encoded | None) -> int:
        tables, attempt = self._tables, self._attempt.fence.attempt
        if self._sequence is None:
            row = tables.read_cursor(connection, self._identity)
            if row is None:
                before = tables.cursor_before_restart(connection, self._identity) if known else None
                first = tables.CursorRow(known, attempt, 0)
                if (before and before.value != known) or not tables.insert_cursor(connection, self._identity, first):
                    raise _NotAsKnown
            elif row.value != known:
                raise _NotAsKnown
            self._sequence = row.sequence if row else 0
        if not tables.claim_cursor(connection, self._identity, attempt, self._sequence):
            raise _NotAsKnown
        return self._sequence

    def _refuse(self) -> NoReturn:
        with self._engine.connect() as connection:
            row = self._tables.read_cursor(connection, self._identity)
            row = row or self._tables.cursor_before_restart(connection, self._identity)
        if row is not None and row.attempt > self._attempt.fence.attempt:
            message = (
                f"step {self._running.label}: attempt {row.attempt} commits its batches now, and this is attempt"
                f" {self._attempt.fence.attempt}"
            )
            self._attempt.interruption.fence(message)
            self._attempt.interruption.leave(Fenced(message))
        raise CursorMoved(row.value if row else None)
