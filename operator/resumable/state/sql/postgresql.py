"""A PostgreSQL server, 13 or newer, by psycopg 3.

The guarded write is one statement in autocommit: a worker that is cut off in the middle of it holds no lock. It locks
the run's row `FOR SHARE`: writers of one run don't wait for each other, but a mint waits for them, and they for it.
`FOR KEY SHARE` would not do, since a change of status or attempt does not conflict with it. A statement that had to
wait reads the locked row again, and *only* that row: hence the guard looks at no other.

Everything else, and a step's write that changes the payload or depends on signals, locks the row `FOR NO KEY UPDATE`
before it does anything: SHARE first and then UPDATE, by two writers, is a deadlock.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg import errors
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    cast,
    create_engine,
    event,
    extract,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import ExceptionContext, make_url

from resumable.state.outcome import Stored, StoreUnavailable, WriteOutcome
from resumable.state.sql import step_write
from resumable.state.sql.database import Database, Grade, GuardedStatement, Judge, Parameters
from resumable.state.sql.prepared import prepared
from resumable.state.sql.step_write import Kind, StepWrite
from resumable.state.sql.tables import cursor, only_some_rows, run, step, step_try

only_some_rows("postgresql")

# Notice a dead peer in half a minute instead of the kernel's two hours; the address may have moved by then.
CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "resumable-jobs",
}

POOL: dict[str, Any] = {"pool_size": 8, "max_overflow": 24, "pool_timeout": 30}

SESSION = {
    # A database or role may have another default, under which a wait for a lock ends in a serialization error.
    "default_transaction_isolation": "read committed",
    # A mint waits for writers of its run; longer than this only for one that hangs. The caller tries again.
    "lock_timeout": "10s",
    # A controller that is cut off inside a transaction must not hold a run's lock until TCP notices.
    "idle_in_transaction_session_timeout": "15s",
    # All statements look rows up by key. A plan made while the tables are empty would read them whole, and is kept.
    "enable_seqscan": "off",
}

# A run that somebody holds must not hold up the others of a group for long: each is then tried alone, as long.
GROUP_LOCK_TIMEOUT = "500ms"

# A number that nobody else uses in this database: the ASCII of "resumabl".
MIGRATION_LOCK = int.from_bytes(b"resumabl")

CLOCK: ColumnElement[int] = cast(
    func.floor(extract("epoch", func.clock_timestamp()) * literal_column("1000")), BigInteger
)


Driver: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class PostgreSQL(Database):
    """One PostgreSQL database."""

    driver_errors = (psycopg.Error,)
    embedded = False
    writes_groups = True

    def __init__(self, url: str) -> None:
        # In autocommit, as the guarded write wants it; a transaction says BEGIN by itself, with its isolation.
        self.engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            connect_args={**CONNECT, "autocommit": True},
            **POOL,
        )
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "handle_error", _leave_a_standby)
        self._prepared: dict[StepWrite, _Statements] = {}

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.named_errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.named_errors(), self.engine.connect() as connection:
            snapshot = connection.execution_options(begin="BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            with snapshot.begin():
                yield snapshot

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        with self.writing() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '5min'"))
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            yield connection

    def lock_row(self, select: Select[Any]) -> Select[Any]:
        return select.with_for_update(key_share=True, of=run)

    def insert_if_absent(self, connection: Connection, table: Table, values: dict[str, Any]) -> bool:
        statement = insert(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
        return connection.execute(statement).one_or_none() is not None

    def now(self, connection: Connection) -> int:
        return connection.execute(select(CLOCK)).scalar_one()

    def write_step(self, write: StepWrite, parameters: Parameters, judge: Judge) -> WriteOutcome:
        statements = self._prepared.get(write) or self._prepare(write)
        with self.named_errors(), self.driver() as driver:
            if not write.locks_run:
                return statements.write_or_judge(driver, parameters, judge)
            with driver.transaction():
                driver.execute(statements.lock_run, parameters, prepare=True)
                return statements.judge_and_write(driver, parameters, judge)

    def write_steps(self, group: Sequence[GuardedStatement]) -> list[WriteOutcome]:
        ready = [(self._prepared.get(shape) or self._prepare(shape), values, judge) for shape, values, judge in group]
        with self.named_errors(), ExitStack() as transaction:
            with self.beginning():
                driver = transaction.enter_context(self.driver())
                transaction.enter_context(driver.transaction())
                driver.execute(f"SET LOCAL lock_timeout = '{GROUP_LOCK_TIMEOUT}'")
            if any(write.shape.locks_run for write in group):
                # All runs in one order before anything else, and none shared: no lock is raised to a stronger one.
                for run_id in dict.fromkeys(parameters["run_id"] for _, parameters, _ in ready):
                    driver.execute(ready[0][0].lock_run, {"run_id": run_id}, prepare=True)
            # What is plain and fresh, as most writes are, crosses the wire together.
            with driver.pipeline():
                first = [
                    None if write.shape.locks_run else driver.execute(statements.in_turn[0], parameters, prepare=True)
                    for write, (statements, parameters, _) in zip(group, ready, strict=True)
                ]
            return [
                statements.judge_and_write(driver, parameters, judge)
                if sent is None
                else _stored(sent) or statements.write_or_judge(driver, parameters, judge)
                for sent, (statements, parameters, judge) in zip(first, ready, strict=True)
            ]

    def is_broken(self, driver: Any, error: BaseException) -> bool:
        return bool(driver.closed) or isinstance(error, errors.ReadOnlySqlTransaction)

    def _prepare(self, write: StepWrite) -> "_Statements":
        self._prepared[write] = statements = _Statements(write, self)
        return statements

    def grade(self, connection: Connection) -> Grade:
        version, fsync, commit, standbys = connection.execute(
            select(
                *(
                    func.current_setting(name)
                    for name in ("server_version", "fsync", "synchronous_commit", "synchronous_standby_names")
                )
            )
        ).one()
        server = f"PostgreSQL {version} with fsync={fsync}, synchronous_commit={commit}"
        if fsync == "off":
            return Grade(False, f"{server}: a crash of the machine may damage the whole database")
        if commit == "off":
            return Grade(False, f"{server}: a crash loses the last acknowledged writes")
        if not standbys:
            return Grade(
                True,
                f"{server}: each commit is flushed; a failover to a standby, none is synchronous, may lose the last",
            )
        return Grade(True, f"{server}: each commit is flushed, with the synchronous standbys {standbys}")

    def refusal(self, error: BaseException) -> str:
        match error:
            case errors.UndefinedTable() | errors.UndefinedColumn():
                return "the schema is not the one this version expects"
            case errors.InsufficientPrivilege():
                return "this user may not do that"
            case (
                psycopg.DataError()
                | psycopg.ProgrammingError()
                | psycopg.IntegrityError()
                | psycopg.NotSupportedError()
            ):
                return "PostgreSQL does not take this"
            case psycopg.Error():
                return ""  # the connection, a time-out, a deadlock, a server that starts, stops or has become a standby
            case _:
                return "the driver does not take this"

    def close(self) -> None:
        self.engine.dispose()


class _Statements:
    """The statements of one shape of guarded write.

    `in_turn`, until one did something: for a finished step first the one for a step without a row, as most are, so that
    they don't pay for what the others need. `guard` tells why none did.
    """

    def __init__(self, write: StepWrite, database: PostgreSQL) -> None:
        dialect = database.engine.dialect
        self.address = database.address
        seen = (run.c.stop_requested, run.c.signal_seq)
        fenced = select(*seen, CLOCK.label("now")).where(step_write.fenced_run())
        guarded = fenced.with_for_update(read=True).cte("guarded")
        allowed = step_write.still_there(write)
        done: ColumnElement[int] = literal_column("1").label("done")

        values = step_write.step_values(write, guarded.c.now)
        to_insert = insert(step).from_select(list(values), select(*values.values()).select_from(guarded).where(allowed))
        fresh = to_insert.on_conflict_do_nothing().returning(
            select(guarded.c.stop_requested).scalar_subquery(), select(guarded.c.signal_seq).scalar_subquery()
        )
        upsert = to_insert.on_conflict_do_update(
            index_elements=list(step.primary_key),
            set_=step_write.step_change(write, to_insert.excluded),
            where=step_write.step_may_change(write),
        )
        written = upsert.returning(done).cte("written")
        replaced = insert(step_try).from_select(
            step_write.TRY_COLUMNS,
            step_write.replaced_try(write).join_from(step, guarded, literal_column("true")).where(allowed),
        )
        parts = [replaced.on_conflict_do_nothing().returning(done).cte("replaced")]
        if write.kind is Kind.SAVE:
            values = step_write.cursor_values(guarded.c.now)
            save = insert(cursor).from_select(list(values), select(*values.values()).select_from(guarded, written))
            save = save.on_conflict_do_update(
                index_elements=list(cursor.primary_key), set_=step_write.cursor_change(save.excluded)
            )
            parts.append(save.returning(done).cte("saved"))
        answer = select(guarded.c.stop_requested, guarded.c.signal_seq).select_from(guarded, written).add_cte(*parts)
        everything = prepared(answer, dialect)
        mostly_fresh = write.kind in (Kind.FINISH, Kind.START)
        self.in_turn = [prepared(fresh, dialect), everything] if mostly_fresh else [everything]
        self.guard = prepared(step_write.guard(write), dialect)
        locked = select(run.c.id).where(run.c.id == step_write.run_id).with_for_update(key_share=True)
        self.lock_run = prepared(locked, dialect)
        self.along: list[str] = []  # in the same commit
        if write.consumes:
            self.along.append(prepared(step_write.take_signal(), dialect))
        if write.payload:
            self.along.append(prepared(step_write.save_payload(CLOCK), dialect))

    def write(self, driver: Driver, parameters: Parameters) -> Stored | None:
        """None: refused."""
        for statement in self.in_turn:
            if stored := _stored(driver.execute(statement, parameters, prepare=True)):
                return stored
        return None

    def write_or_judge(self, driver: Driver, parameters: Parameters, judge: Judge) -> WriteOutcome:
        """Write, and look only when that was refused."""
        for _ in range(3):
            if stored := self.write(driver, parameters):
                return stored
            outcome = judge(driver.execute(self.guard, parameters).fetchone())
            if not isinstance(outcome, Stored):
                return outcome
            # Refused, and now nothing stands against it: what did has just changed.
        raise StoreUnavailable(f"{self.address}: the run kept changing during the write; try again")

    def judge_and_write(self, driver: Driver, parameters: Parameters, judge: Judge) -> WriteOutcome:
        """Look first, then write all that belongs together. The run's row is locked against its other writers."""
        outcome = judge(driver.execute(self.guard, parameters, prepare=True).fetchone())
        if isinstance(outcome, Stored):
            written = self.write(driver, parameters)
            assert written is not None  # the run's row is locked, and the guard has just said so
            for statement in self.along:
                driver.execute(statement, parameters, prepare=True)
        return outcome


def _stored(sent: psycopg.Cursor[tuple[Any, ...]]) -> Stored | None:
    written = sent.fetchone()
    return None if written is None else Stored(*written)


def _leave_a_standby(context: ExceptionContext) -> None:
    """After a failover the server at the other end may go on serving this connection, read-only: make a new one."""
    if isinstance(context.original_exception, errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


def _configure(connection: psycopg.Connection[Any], _record: object) -> None:
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SESSION.items())
    connection.execute(f"SELECT {settings}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN ISOLATION LEVEL READ COMMITTED"))
