"""What readers get, each from one moment of the store."""

from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, tuple_

from resumable.state.record import Attempt, Cursor, Event, Run, RunView, Signal, Step, StepStatus, StoreInfo
from resumable.state.sql import rows, schema
from resumable.state.sql.database import Database
from resumable.state.sql.step_write import DONE, STARTED
from resumable.state.sql.tables import attempt, cursor, event, run, signal, step, store


def info(database: Database) -> StoreInfo:
    """Which store this is, and how durable."""
    with database.reading() as connection:
        grade = database.grade(connection)
        return StoreInfo(
            uuid=connection.execute(select(store.c.uuid)).scalar_one(),
            schema_version=schema.current_version(connection),
            durable=grade.durable,
            durability=grade.why,
            now=rows.moment(database.now(connection)),
        )


def get_run(database: Database, run_id: str) -> Run | None:
    with database.reading() as connection:
        return read_run(connection, run_id)


def list_runs(database: Database, namespace: str | None, limit: int) -> tuple[Run, ...]:
    query = select(*rows.RUN).order_by(run.c.created.desc(), run.c.id).limit(limit)
    if namespace is not None:
        query = query.where(run.c.namespace == namespace)
    with database.reading() as connection:
        return tuple(rows.to_run(row) for row in connection.execute(query))


def view(database: Database, run_id: str, most_steps: int) -> RunView | None:
    """A run for deciding and showing."""
    with database.reading() as connection:
        record = read_run(connection, run_id)
        if record is None:
            return None
        of_run = select(func.count()).select_from(step).where(step.c.run_id == run_id)
        total = connection.execute(of_run).scalar_one()
        unfinished = connection.execute(of_run.where(step.c.status != DONE)).scalar_one()
        attempts = read_attempts(connection, run_id)
        return RunView(
            run=record,
            now=rows.moment(database.now(connection)),
            attempts=attempts,
            steps=_worth_seeing(connection, run_id, most_steps),
            steps_done=total - unfinished,
            steps_total=total,
            last_saved=max((a.last_saved for a in attempts if a.last_saved), default=None),
        )


def list_steps(database: Database, run_id: str) -> tuple[Step, ...]:
    with database.reading() as connection:
        return read_steps(connection, run_id)


def list_cursors(database: Database, run_id: str) -> tuple[Cursor, ...]:
    with database.reading() as connection:
        return read_cursors(connection, run_id)


def list_events(database: Database, run_id: str, after: int, limit: int) -> tuple[Event, ...]:
    query = select(*rows.EVENT).where(event.c.run_id == run_id, event.c.sequence > after)
    with database.reading() as connection:
        found = connection.execute(query.order_by(event.c.sequence).limit(limit))
        return tuple(rows.to_event(row) for row in found)


def read_run(connection: Connection, run_id: str) -> Run | None:
    row = connection.execute(select(*rows.RUN).where(run.c.id == run_id)).one_or_none()
    return None if row is None else rows.to_run(row)


def read_steps(
    connection: Connection, run_id: str, only: ColumnElement[bool] | None = None, *, results: bool = True
) -> tuple[Step, ...]:
    query = select(*(rows.STEP if results else rows.STEP_WITHOUT_RESULT)).where(step.c.run_id == run_id)
    if only is not None:
        query = query.where(only)
    # In the order of the primary key, which costs nothing; the engine would carry whole rows through its sort.
    found = rows.to_steps(connection.execute(query.order_by(step.c.name, step.c.key)))
    return tuple(sorted(found, key=attrgetter("ordinal")))


def is_expired(now: int) -> ColumnElement[bool]:
    """Whether a step's result was kept for a time that is over."""
    return and_(step.c.expires.is_not(None), step.c.expires <= now)


def read_signals(connection: Connection, run_id: str, *, unconsumed: bool = False) -> tuple[Signal, ...]:
    """All signals, or those that are there to be taken, in the order they came."""
    query = select(*rows.SIGNAL).where(signal.c.run_id == run_id).order_by(signal.c.sequence)
    if unconsumed:
        query = query.where(signal.c.consumed_by == "")
    return tuple(rows.to_signal(row) for row in connection.execute(query))


def read_cursors(connection: Connection, run_id: str, *, unfinished: bool = False) -> tuple[Cursor, ...]:
    """All cursors, or those that a resume may need: of steps that are not done."""
    query = select(*rows.CURSOR).where(cursor.c.run_id == run_id).order_by(cursor.c.name, cursor.c.key)
    if unfinished:
        same = and_(step.c.run_id == cursor.c.run_id, step.c.name == cursor.c.name, step.c.key == cursor.c.key)
        query = query.join(step, same).where(step.c.status != StepStatus.DONE.value)
    return tuple(rows.to_cursor(row) for row in connection.execute(query))


def read_attempts(connection: Connection, run_id: str) -> tuple[Attempt, ...]:
    """All attempts in order, with the counters of those that are not over derived from their rows."""
    query = select(*rows.ATTEMPT).where(attempt.c.run_id == run_id).order_by(attempt.c.number)
    found = connection.execute(query).all()
    under_way = [row.number for row in found if row.steps_done is None]
    derived = {number: progress_of(connection, run_id, number) for number in under_way}
    return tuple(rows.to_attempt(row, derived.get(row.number, {})) for row in found)


def progress_of(connection: Connection, run_id: str, number: int) -> dict[str, Any]:
    """The counters of one attempt, as its rows have them now: the columns that are kept when it is over."""
    finished = select(func.count(), func.max(step.c.finished)).where(
        step.c.run_id == run_id, step.c.attempt == number, step.c.status == StepStatus.DONE.value
    )
    saved = select(func.max(cursor.c.saved), func.max(cursor.c.advanced_in)).where(
        cursor.c.run_id == run_id, cursor.c.attempt == number
    )
    steps_done, last_done = connection.execute(finished).one()
    last_cursor, advanced_in = connection.execute(saved).one()
    return {
        "steps_done": steps_done,
        "last_saved": max((at for at in (last_done, last_cursor) if at is not None), default=None),
        "progressed": steps_done > 0 or advanced_in == number,
    }


def _worth_seeing(connection: Connection, run_id: str, most: int) -> tuple[Step, ...]:
    """At most `most` steps, in order: the first failed ones (up to a third), then the running ones, then the newest."""

    def some(condition: ColumnElement[bool], order: ColumnElement[Any], limit: int) -> list[tuple[str, str]]:
        query = select(step.c.name, step.c.key).where(step.c.run_id == run_id, condition)
        return [(name, key) for name, key in connection.execute(query.order_by(order).limit(limit))]

    unfinished = step.c.status != DONE  # said as the index says it
    chosen = some(and_(unfinished, step.c.status == StepStatus.FAILED.value), step.c.ordinal, -(-most // 3))
    chosen += some(and_(unfinished, step.c.status == STARTED), step.c.ordinal.desc(), most - len(chosen))
    chosen += some(step.c.status == DONE, step.c.ordinal.desc(), most - len(chosen))
    query = select(*rows.STEP_WITHOUT_RESULT).where(
        step.c.run_id == run_id, tuple_(step.c.name, step.c.key).in_(chosen)
    )
    return rows.to_steps(connection.execute(query.order_by(step.c.ordinal, step.c.name, step.c.key)))
