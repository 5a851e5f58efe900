"""An embedded SQLite, 3.35 or newer: a file on a volume or a laptop's disk, or memory for tests.

`BEGIN IMMEDIATE` takes the one write lock before anything is read, so that a guard can't be outdated by the time of its
write. `synchronous=FULL` makes each commit outlive a power cut (in WAL mode the default, NORMAL, does not).

The store's clock is the process's own: all processes of one SQLite file are on one machine.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, Select, Table, create_engine, event
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import make_url
from sqlalchemy.pool import PoolProxiedConnection, StaticPool

from resumable.state.outcome import Stored, StoreRefused, WriteOutcome
from resumable.state.sql import step_write
from resumable.state.sql.database import Database, Grade, GuardedStatement, Judge, Parameters
from resumable.state.sql.prepared import prepared
from resumable.state.sql.step_write import Kind, StepWrite
from resumable.state.sql.tables import cursor, only_some_rows, step, step_try

only_some_rows("sqlite")

# How long a writer waits for another process's transaction; each is a few milliseconds, a migration may take longer.
BUSY_SECONDS = 15.0

_LASTING = {
    "SQLITE_CORRUPT": "the file is damaged; restore it from a backup",
    "SQLITE_NOTADB": "the file is not a SQLite database",
    "SQLITE_READONLY": "the file or its folder can't be written to",
    "SQLITE_CANTOPEN": "the file can't be opened; does its folder exist, and may this user write there?",
    "SQLITE_TOOBIG": "a value is larger than SQLite takes",
}


class SQLite(Database):
    """One SQLite database. Within a process its writers queue at a lock; between processes SQLite makes them wait."""

    driver_errors = (sqlite3.Error,)
    embedded = True
    writes_groups = True

    def __init__(self, url: str) -> None:
        self.path = make_url(url).database or ""
        self.in_memory = self.path in ("", ":memory:")
        if not self.in_memory and not os.path.isabs(self.path):
            raise StoreRefused(
                f"{url}: the path of a SQLite store is absolute: sqlite:////folder/file.db, with four slashes"
            )
        self.engine = self._engine()
        self._writers = threading.RLock()
        # All threads share the one connection that *is* a database in memory: its readers queue as well.
        self._readers = self._writers if self.in_memory else nullcontext()
        self._prepared: dict[StepWrite, _Statements] = {}
        self.clock: Callable[[], int] = _now  # milliseconds since 1970; a test's own clock travels in time
        self._writer: PoolProxiedConnection | None = None
        self._writers_pool = self.engine.pool

    def _engine(self) -> Engine:
        arguments: dict[str, Any] = (
            {"poolclass": StaticPool} if self.in_memory else {"pool_size": 8, "max_overflow": 56}
        )
        engine = create_engine(
            f"sqlite:///{self.path}",
            # No isolation level: the driver begins no transactions of its own.
            connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_SECONDS},
            **arguments,
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.named_errors(), self._writers, self.engine.connect() as connection:
            immediate = connection.execution_options(begin="BEGIN IMMEDIATE")
            with immediate.begin():
                yield immediate

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.named_errors(), self._readers, self.engine.connect() as connection, connection.begin():
            yield connection

    migrating = writing  # SQLite changes a schema in a transaction like any other

    def lock_row(self, select: Select[Any]) -> Select[Any]:
        return select  # BEGIN IMMEDIATE has locked everything

    def insert_if_absent(self, connection: Connection, table: Table, values: dict[str, Any]) -> bool:
        statement = insert(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
        return connection.execute(statement).one_or_none() is not None

    def now(self, connection: Connection) -> int:  # noqa: ARG002
        return self.clock()

    @contextmanager
    def driver(self) -> Iterator[sqlite3.Connection]:
        """The writers' own connection, kept: to take one from the pool costs a third of a step. They queue for it."""
        if self._writers_pool is not self.engine.pool:  # disposed of, with all its connections
            self._forget_writer()
        writer = self._writer = self._writer or self.engine.raw_connection()
        self._writers_pool = self.engine.pool
        driver: sqlite3.Connection = writer.driver_connection  # type: ignore[assignment]
        try:
            yield driver
        except BaseException:
            if driver.in_transaction:  # it could not even be rolled back
                self._forget_writer()
            raise

    def _forget_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def write_step(self, write: StepWrite, parameters: Parameters, judge: Judge) -> WriteOutcome:
        statements = self._prepared.get(write) or self._prepare(write)
        with self.named_errors(), self._writers, self.driver() as driver:
            driver.execute("BEGIN IMMEDIATE")
            with _committing(driver):
                return statements.run(driver, {**parameters, "now": self.clock()}, judge)

    def write_steps(self, group: Sequence[GuardedStatement]) -> list[WriteOutcome]:
        with self.named_errors(), self._writers, self.driver() as driver:
            with self.beginning():
                driver.execute("BEGIN IMMEDIATE")
            with _committing(driver):
                return [
                    (self._prepared.get(write) or self._prepare(write)).run(
                        driver, {**parameters, "now": self.clock()}, judge
                    )
                    for write, parameters, judge in group
                ]

    def _prepare(self, write: StepWrite) -> "_Statements":
        self._prepared[write] = statements = _Statements(write)
        return statements

    def grade(self, connection: Connection) -> Grade:
        if self.in_memory:
            return Grade(False, "SQLite in memory: everything is lost when the process ends")
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        if synchronous < 2:
            return Grade(False, f"SQLite with synchronous={synchronous}: a power cut loses acknowledged writes")
        kind = filesystem(self.path)
        if kind in ("tmpfs", "ramfs"):
            return Grade(False, f"SQLite on {kind}, which is memory: everything is lost with the machine or the pod")
        return Grade(
            True,
            f"SQLite, WAL with synchronous=FULL, on {kind or 'a file system of unknown kind'}: each commit is flushed",
        )

    def refusal(self, error: BaseException) -> str:
        code = getattr(error, "sqlite_errorname", None) or ""
        for name, why in _LASTING.items():
            if code.startswith(name):
                return why
        if isinstance(error, sqlite3.OperationalError):
            # SQLITE_ERROR: a missing table or column. The rest (busy, full, I/O) may pass.
            return "the schema is not the one this version expects" if code == "SQLITE_ERROR" else ""
        return "SQLite does not take this"

    def close(self) -> None:
        with self._writers:
            self._forget_writer()
        self.engine.dispose()


class _Statements:
    """The statements of one shape of guarded write."""

    def __init__(self, write: StepWrite) -> None:
        dialect = sqlite_dialect(paramstyle="named")
        now = step_write.parameter("now", BigInteger)
        upsert = insert(step).values(step_write.step_values(write, now))
        upsert = upsert.on_conflict_do_update(
            index_elements=list(step.primary_key),
            set_=step_write.step_change(write, upsert.excluded),
            where=step_write.step_may_change(write),
        )
        save = insert(cursor).values(step_write.cursor_values(now))
        save = save.on_conflict_do_update(
            index_elements=list(cursor.primary_key), set_=step_write.cursor_change(save.excluded)
        )
        replaced = insert(step_try).from_select(step_write.TRY_COLUMNS, step_write.replaced_try(write))
        self.guard = prepared(step_write.guard(write), dialect)
        self.keep_replaced_try = prepared(replaced, dialect)
        self.upsert = prepared(upsert, dialect)
        self.along: list[str] = []  # in the same commit
        if write.kind is Kind.SAVE:
            self.along.append(prepared(save, dialect))
        if write.consumes:
            self.along.append(prepared(step_write.take_signal(), dialect))
        if write.payload:
            self.along.append(prepared(step_write.save_payload(now), dialect))

    def run(self, driver: sqlite3.Connection, parameters: dict[str, Any], judge: Judge) -> WriteOutcome:
        """Judge, then write; the caller has the lock, and commits."""
        row = driver.execute(self.guard, parameters).fetchone()
        outcome = judge(row)
        if isinstance(outcome, Stored):
            if row[-1] is not None:  # there is a row of this step already
                driver.execute(self.keep_replaced_try, parameters)
            driver.execute(self.upsert, parameters)
            for statement in self.along:
                driver.execute(statement, parameters)
        return outcome


@contextmanager
def _committing(driver: sqlite3.Connection) -> Iterator[None]:
    """Commit the transaction that has begun, or roll it back."""
    try:
        yield
        driver.execute("COMMIT")
    except BaseException:
        driver.rollback()
        raise


def _now() -> int:
    return time.time_ns() // 1_000_000


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            # Changing the mode needs the file alone and does not wait for it: another process is opening it too.
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def filesystem(path: str, mounts: str = "/proc/self/mountinfo") -> str:
    """The kind of file system that holds `path` ("ext4", "tmpfs", "nfs4"), or "" where that can't be known."""
    try:
        with open(mounts) as file:
            lines = [line.split() for line in file]
    except OSError:
        return ""
    kind, longest = "", -1
    real = os.path.realpath(path)
    for fields in lines:
        mount = fields[4].replace("\\040", " ")
        inside = real == mount or real.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= longest:  # the last of equals is mounted over the others
            kind, longest = fields[fields.index("-") + 1], len(mount)
    return kind
