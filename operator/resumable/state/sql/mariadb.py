"""A MariaDB server, 10.5 or newer, by PyMySQL.

The guarded write is a transaction. It locks the run's row `LOCK IN SHARE MODE` before anything else: writers of one run
don't wait for each other, but a mint waits for them, and they for it. Everything that changes the run's row locks it
`FOR UPDATE` first: SHARE first and then UPDATE, by two writers, is a deadlock.

READ COMMITTED makes each statement see what was committed before it, so that what is read after the wait for the lock
is what holds while the lock is held; it also takes no gap locks, for which writers of different steps would wait.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import pymysql
from pymysql import err
from pymysql.constants import ER
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    create_engine,
    event,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLTypeCompiler
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import IntegrityError

from resumable.state.outcome import Stored, StoreUnavailable, WriteOutcome
from resumable.state.sql import step_write
from resumable.state.sql.database import Database, Grade, Judge, Parameters
from resumable.state.sql.prepared import prepared
from resumable.state.sql.step_write import WRITTEN_ID, Kind, StepWrite
from resumable.state.sql.tables import cursor, run, step, step_try

# Its stubs have no types for what is called here.
Driver: TypeAlias = Any

CONNECT: dict[str, Any] = {
    "charset": "utf8mb4",
    "connect_timeout": 10,
    # Longer than any wait for a lock; a server that is gone is noticed within it.
    "read_timeout": 30,
    "write_timeout": 30,
    "autocommit": True,  # a transaction says BEGIN by itself
}

SESSION = {
    # A value that doesn't fit is an error, not a shorter value.
    "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    # A mint waits for writers of its run; longer than this (seconds) only for one that hangs. The caller tries again.
    "innodb_lock_wait_timeout": "10",
    # A worker or controller that is cut off inside a transaction must not hold a run's lock until TCP notices.
    "idle_transaction_timeout": "15",
    "time_zone": "'+00:00'",
}

# `SYSDATE` is the time at which it is evaluated; `NOW` would be that of the statement, before its wait for a lock.
CLOCK: ColumnElement[int] = literal_column("CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)", BigInteger)

# Names and keys are the same only if their bytes are, trailing spaces included.
TABLE_OPTIONS = " ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"

# One migration at a time in one database. The server frees it when its connection is lost.
MIGRATION_LOCK = "CONCAT('resumable-jobs ', SHA1(DATABASE()))"
MIGRATION_SECONDS = 300
MIGRATION_POLL_SECONDS = 10  # below `read_timeout`


class MariaDB(Database):
    """One MariaDB database."""

    driver_errors = (pymysql.Error,)
    embedded = False

    def __init__(self, url: str) -> None:
        self.engine = create_engine(
            make_url(url).set(drivername="mysql+pymysql"),
            paramstyle="pyformat",
            connect_args=CONNECT,
            pool_size=8,
            max_overflow=24,
            pool_timeout=30,
        )
        dialect: Any = self.engine.dialect
        dialect.ddl_compiler = _DDL
        dialect.type_compiler_instance = _Types(dialect)
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "handle_error", _leave_a_replica)
        self._prepared: dict[StepWrite, _Statements] = {}

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.named_errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.named_errors(), self.engine.connect() as connection:
            snapshot = connection.execution_options(
                begin=(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                    # The first read makes the snapshot. One made here would refuse a table that is made meanwhile.
                    "START TRANSACTION READ ONLY",
                )
            )
            with snapshot.begin():
                yield snapshot

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Each statement that changes the schema commits by itself; those for rows commit together, at the end.

        Killed in between, the tables made so far stay, and the next one goes on from there: see `_DDL`.
        """
        with self.named_errors(), self.engine.connect() as connection:
            lasting = connection.execution_options(begin=("SET autocommit = 0",))
            with lasting.begin():
                self._lock_migrations(lasting)
                try:
                    yield lasting
                    lasting.exec_driver_sql("COMMIT")  # before others may look
                finally:
                    # Nothing may be left of it in the pool: the lock and `autocommit` are the session's.
                    lasting.detach()
                    lasting.close()

    def _lock_migrations(self, connection: Connection) -> None:
        query = text(f"SELECT GET_LOCK({MIGRATION_LOCK}, {MIGRATION_POLL_SECONDS})")
        for _ in range(0, MIGRATION_SECONDS, MIGRATION_POLL_SECONDS):
            if connection.execute(query).scalar() == 1:
                return
        raise StoreUnavailable(f"{self.address}: another migration has been under way for {MIGRATION_SECONDS} s")

    def lock_row(self, select: Select[Any]) -> Select[Any]:
        return select.with_for_update()

    def insert_if_absent(self, connection: Connection, table: Table, values: dict[str, Any]) -> bool:
        try:
            connection.execute(insert(table).values(values))
        except IntegrityError as error:
            if _number(error.orig) == ER.DUP_ENTRY:  # the statement is undone, the transaction goes on
                return False
            raise
        return True

    def now(self, connection: Connection) -> int:
        return connection.execute(select(CLOCK)).scalar_one()

    def write_step(self, write: StepWrite, parameters: Parameters, judge: Judge) -> WriteOutcome:
        for _ in range(5):
            try:
                with self.named_errors(), self.driver() as driver, driver.cursor() as statement:
                    statements = self._prepared.get(write) or self._prepare(write)
                    statement.execute("BEGIN")
                    outcome = statements.run(statement, parameters, judge)
                    driver.commit()
                    return outcome
            except StoreUnavailable as error:
                if not _is_deadlock(error.__cause__):
                    raise
            except _Overtaken:
                pass
        raise StoreUnavailable(f"{self.address}: the step kept changing during the write; try again")

    def is_broken(self, driver: Driver, error: BaseException) -> bool:
        return not driver.open or _is_read_only(error)

    def _prepare(self, write: StepWrite) -> "_Statements":
        self._prepared[write] = statements = _Statements(write, self)
        return statements

    def grade(self, connection: Connection) -> Grade:
        names = ("version", "innodb_flush_log_at_trx_commit", "innodb_doublewrite", "log_bin", "sync_binlog")
        version, flush, doublewrite, binlog, sync_binlog = connection.exec_driver_sql(
            f"SELECT {', '.join(f'@@global.{name}' for name in names)}"
        ).one()
        server = f"MariaDB {version} with innodb_flush_log_at_trx_commit={flush}"
        if flush not in (1, 3):
            return Grade(False, f"{server}: a crash of the machine loses the last acknowledged writes")
        if str(doublewrite) in ("0", "OFF"):
            return Grade(False, f"{server}, innodb_doublewrite=OFF: a crash of the machine may damage the tables")
        if binlog and sync_binlog != 1:
            why = "recovery takes back commits that the binary log has lost"
            return Grade(False, f"{server}, log_bin=ON, sync_binlog={sync_binlog}: {why}")
        return Grade(True, f"{server}: each commit is flushed; a failover to an asynchronous replica may lose the last")

    def refusal(self, error: BaseException) -> str:
        number = _number(error)
        if number in (ER.NO_SUCH_TABLE, ER.BAD_FIELD_ERROR):
            return "the schema is not the one this version expects"
        if number in (ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR):
            return "this user may not do that"
        if number == ER.NET_PACKET_TOO_LARGE:
            return "a value is larger than the server's max_allowed_packet"
        match error:
            case err.DataError() | err.ProgrammingError() | err.IntegrityError() | err.NotSupportedError():
                return "MariaDB does not take this"
            case pymysql.Error():
                return ""  # the connection, a time-out, a deadlock, a server that starts, stops or is read-only
            case _:
                return "the driver does not take this"

    def close(self) -> None:
        self.engine.dispose()


class _Overtaken(Exception):
    """Another writer made the step's row between our look and our write: look again."""


class _Statements:
    """The statements of one shape of guarded write.

    A fresh step is inserted; a row that is there is locked, judged again and updated. `ON DUPLICATE KEY UPDATE` would
    not do: it knows no condition, and each of its assignments sees those before it.
    """

    def __init__(self, write: StepWrite, database: MariaDB) -> None:
        dialect = database.engine.dialect
        now = step_write.parameter("now", BigInteger)
        fresh = step_write.step_values(write, now)
        this_step = (step.c.run_id == step_write.run_id, step.c.name == step_write.name, step.c.key == step_write.key)
        # Assignments are made from left to right; others look at the old status and attempt.
        change = _in_order(step, step_write.step_change(write, fresh), last=("status", "attempt"))
        replaced = insert(step_try).from_select(step_write.TRY_COLUMNS, step_write.replaced_try(write))
        locked_run = select(CLOCK).select_from(run).where(run.c.id == step_write.run_id)
        locked_run = locked_run.with_for_update(read=not write.locks_run)

        self.lock_run = prepared(locked_run, dialect)
        self.guard = prepared(step_write.guard(write), dialect)
        self.insert = prepared(insert(step).values(fresh), dialect)
        self.lock_step = prepared(select(step.c.attempt).where(*this_step).with_for_update(), dialect)
        self.keep_replaced_try = prepared(replaced, dialect)
        self.update = prepared(
            update(step).where(*this_step, step_write.step_may_change(write)).ordered_values(*change), dialect
        )
        self.along: list[str] = []  # in the same commit
        if write.consumes:
            self.along.append(prepared(step_write.take_signal(), dialect))
        if write.payload:
            self.along.append(prepared(step_write.save_payload(now), dialect))
        self.insert_cursor = self.update_cursor = ""
        if write.kind is Kind.SAVE:
            saved = step_write.cursor_values(now)
            mine = (cursor.c.run_id == step_write.run_id, cursor.c.name == step_write.name)
            # `advanced_in` compares with the old value.
            taken = ("value_codec", "value", "checkpoint", "sequence", "attempt", "write_id", "saved")
            moved = _in_order(cursor, step_write.cursor_change(saved), last=taken)
            self.insert_cursor = prepared(insert(cursor).values(saved), dialect)
            self.update_cursor = prepared(
                update(cursor).where(*mine, cursor.c.key == step_write.key).ordered_values(*moved), dialect
            )

    def run(self, statement: Driver, parameters: Parameters, judge: Judge) -> WriteOutcome:
        """Lock, judge, write; the caller commits. Raises `_Overtaken` when all of it is to be done again."""
        statement.execute(self.lock_run, parameters)
        locked = statement.fetchone()
        if locked is None:
            return judge(None)
        values = {**parameters, "now": locked[0]}
        row = self._look(statement, values)
        outcome = judge(row)
        if not isinstance(outcome, Stored):
            return outcome
        if row[-1] is None:
            _insert(statement, self.insert, values)
        else:
            statement.execute(self.lock_step, values)
            row = self._look(statement, values)
            outcome = judge(row)
            if not isinstance(outcome, Stored):
                return outcome
            statement.execute(self.keep_replaced_try, values)
            statement.execute(self.update, values)
        if self.insert_cursor and row[WRITTEN_ID] is None:
            _insert(statement, self.insert_cursor, values)
        elif self.insert_cursor:
            statement.execute(self.update_cursor, values)
        for query in self.along:
            statement.execute(query, values)
        return outcome

    def _look(self, statement: Driver, values: Mapping[str, Any]) -> tuple[Any, ...]:
        statement.execute(self.guard, values)
        row: tuple[Any, ...] | None = statement.fetchone()
        assert row is not None  # the run's row is locked
        return row


def _insert(statement: Driver, query: str, values: Mapping[str, Any]) -> None:
    try:
        statement.execute(query, values)
    except err.IntegrityError as error:
        if _number(error) == ER.DUP_ENTRY:
            raise _Overtaken from error
        raise


def _in_order(table: Table, change: dict[str, Any], last: tuple[str, ...]) -> list[tuple[Any, Any]]:
    names = [name for name in change if name not in last] + [name for name in last if name in change]
    return [(table.c[name], change[name]) for name in names]


class _DDL(MySQLDDLCompiler):
    """What a migration makes, here: InnoDB tables that compare text byte by byte.

    `IF NOT EXISTS`, since a migration that was killed half-way left what it had made until then.
    """

    def visit_create_table(self, create: Any, **options: Any) -> Any:
        create.if_not_exists = True
        return super().visit_create_table(create, **options)  # type: ignore[no-untyped-call]

    def post_create_table(self, table: Table) -> str:  # noqa: ARG002
        return TABLE_OPTIONS

    def visit_create_index(self, create: Any, *include: Any, **options: Any) -> Any:
        create.if_not_exists = True
        return super().visit_create_index(create, *include, **options)


class _Types(MySQLTypeCompiler):
    """`BLOB` and `TEXT` end at 64 KB there; a float has 53 bits everywhere."""

    def visit_large_binary(self, type_: Any, **options: Any) -> str:
        return self.visit_LONGBLOB(type_, **options)

    def visit_text(self, type_: Any, **options: Any) -> str:
        return self.visit_LONGTEXT(type_, **options)

    def visit_FLOAT(self, type_: Any, **options: Any) -> str:  # noqa: ARG002, N802
        return "DOUBLE"  # CAST takes no FLOAT(53)


def _number(error: BaseException | None) -> int:
    """The server's or the client's error number, or 0."""
    return error.args[0] if isinstance(error, pymysql.Error) and error.args else 0


def _is_read_only(error: BaseException | None) -> bool:
    return _number(error) == ER.OPTION_PREVENTS_STATEMENT


def _leave_a_replica(context: ExceptionContext) -> None:
    """After a failover the server at the other end may go on serving this connection, read-only: make a new one."""
    if _is_read_only(context.original_exception):
        context.is_disconnect = True


def _is_deadlock(error: BaseException | None) -> bool:
    return _number(error) == ER.LOCK_DEADLOCK


def _configure(connection: Driver, _record: object) -> None:
    with connection.cursor() as statement:
        statement.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        statement.execute("SET SESSION " + ", ".join(f"{name} = {value}" for name, value in SESSION.items()))


def _begin(connection: Connection) -> None:
    for statement in connection.get_execution_options().get("begin", ("BEGIN",)):
        connection.exec_driver_sql(statement)
