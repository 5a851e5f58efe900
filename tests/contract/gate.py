"""Stopping a PostgreSQL transaction in the middle, so that a race has one outcome every time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

_GATE = 7_465_636  # an advisory lock; any number that nobody else takes


class Gate:
    """Inserts into a table wait at it, inside their transaction, until it is opened."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._open = False

    def wait_for(self, waiting: int) -> None:
        """Until so many of the database's sessions wait: at the gate, or for a lock of one that does."""
        deadline = time.monotonic() + 20
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while True:
            [found] = self._connection.execute(query).fetchone() or [0]
            if found == waiting:
                return
            assert time.monotonic() < deadline, f"{waiting} sessions should wait for a lock, {found} do"
            time.sleep(0.005)

    def open(self) -> None:
        if not self._open:
            self._connection.execute("SELECT pg_advisory_unlock(%s)", (_GATE,))
            self._open = True


@contextmanager
def gate_before(table: str, url: str) -> Iterator[Gate]:
    """Close a gate before each insert into `table` of the database at `url`."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_GATE,))
        connection.execute(
            f"""CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared({_GATE}); RETURN NEW; END $$"""
        )
        connection.execute(f"CREATE TRIGGER gate BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION wait_at_gate()")
        gate = Gate(connection)
        try:
            yield gate
        finally:
            gate.open()
            connection.execute("DROP FUNCTION wait_at_gate CASCADE")
