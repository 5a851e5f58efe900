"""Stopping a transaction in the middle, so that a race has one outcome every time."""

import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from resumable.state.sql.store import SqlStore
from tests.servers.mariadb import MariaDBServer

_POSTGRESQL_LOCK = 7_465_636  # an advisory lock; any number that nobody else takes


class Gate(ABC):
    """Inserts into a table wait at it, inside their transaction, until it is opened."""

    poll_seconds = 0.005

    def wait_for(self, waiting: int) -> None:
        """Until so many of the database's sessions wait: at the gate, or for a lock of one that does."""
        deadline = time.monotonic() + 20
        while (found := self.waiting()) != waiting:
            assert time.monotonic() < deadline, f"{waiting} sessions should wait for a lock, {found} do"
            time.sleep(self.poll_seconds)

    @abstractmethod
    def waiting(self) -> int: ...

    @abstractmethod
    def open(self) -> None: ...


class PostgreSQLGate(Gate):
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._open = False

    def waiting(self) -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        [found] = self._connection.execute(query).fetchone() or [0]
        return int(found)

    def open(self) -> None:
        if not self._open:
            self._connection.execute("SELECT pg_advisory_unlock(%s)", (_POSTGRESQL_LOCK,))
            self._open = True


@contextmanager
def postgresql_gate(table: str, url: str, *, when: str = "BEFORE") -> Iterator[Gate]:
    """Close a gate before (or AFTER) each insert into `table` of the database at `url`."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_POSTGRESQL_LOCK,))
        connection.execute(
            f"""CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared({_POSTGRESQL_LOCK}); RETURN NEW; END $$"""
        )
        connection.execute(f"CREATE TRIGGER gate {when} INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION wait_at_gate()")
        gate = PostgreSQLGate(connection)
        try:
            yield gate
        finally:
            gate.open()
            connection.execute("DROP FUNCTION wait_at_gate CASCADE")


class MariaDBGate(Gate):
    poll_seconds = 0.15  # innodb_trx is a cache that is refreshed when nobody read it for 0.1 s

    def __init__(self, server: MariaDBServer, database: str, holder: Any) -> None:
        self._server = server
        self._database = database
        self._holder = holder

    def waiting(self) -> int:
        query = f"""SELECT count(*) FROM information_schema.processlist p
            LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id
            WHERE p.db = '{self._database}' AND (p.state = 'User lock' OR t.trx_state = 'LOCK WAIT')"""
        [[found]] = self._server.execute(query)
        return int(found)

    def open(self) -> None:
        with self._holder.cursor() as cursor:
            cursor.execute("SELECT RELEASE_ALL_LOCKS()")


@contextmanager
def mariadb_gate(table: str, url: str, server: MariaDBServer, *, when: str = "BEFORE") -> Iterator[Gate]:
    """Close a gate before (or AFTER) each insert into `table` of the database at `url`."""
    database = make_url(url).database or ""
    with closing(server.connect(database)) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT GET_LOCK('{database}', 10)")
        cursor.execute(
            f"""CREATE TRIGGER gate {when} INSERT ON `{table}` FOR EACH ROW
            BEGIN DECLARE ignored INT; SET ignored = GET_LOCK('{database}', 20) + RELEASE_LOCK('{database}'); END"""
        )
        gate = MariaDBGate(server, database, holder)
        try:
            yield gate
        finally:
            gate.open()
            cursor.execute("DROP TRIGGER gate")


class SQLiteGate(Gate):
    """SQLite lets nobody look at who waits: its connections tell, by what they execute."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._at_gate: set[int] = set()
        self._beginning: set[int] = set()

    def waiting(self) -> int:
        return len(self._at_gate) + len(self._beginning)

    def open(self) -> None:
        self._opened.set()

    def pass_through(self) -> None:
        """What the trigger calls."""
        self._at_gate.add(threading.get_ident())
        self._opened.wait(20)
        self._at_gate.discard(threading.get_ident())

    def sees(self, connection: int, statement: str) -> None:
        """A connection is about to execute this: one that begins to write waits while another writes."""
        if statement.startswith("BEGIN IMMEDIATE"):
            self._beginning.add(connection)
        else:
            self._beginning.discard(connection)


@contextmanager
def sqlite_gate(table: str, store: SqlStore, other: SqlStore, *, when: str = "BEFORE") -> Iterator[Gate]:
    """Close a gate before (or AFTER) each insert of `store` into `table`; `other`, on the same file, waits for it."""
    gate = SQLiteGate()

    def with_gate(connection: sqlite3.Connection, _record: object) -> None:
        connection.create_function("wait_at_gate", 0, gate.pass_through)
        connection.execute(f"CREATE TEMP TRIGGER gate {when} INSERT ON main.{table} BEGIN SELECT wait_at_gate(); END")

    def watched(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(lambda statement: gate.sees(id(connection), statement))

    with _new_connections(store.database.engine, with_gate), _new_connections(other.database.engine, watched):
        try:
            yield gate
        finally:
            gate.open()


@contextmanager
def _new_connections(engine: Engine, prepare: Any) -> Iterator[None]:
    engine.dispose()
    event.listen(engine, "connect", prepare)
    try:
        yield
    finally:
        event.remove(engine, "connect", prepare)
        engine.dispose()
