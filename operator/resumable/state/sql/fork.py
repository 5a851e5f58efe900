"""A new run that begins with another's history: what its steps finished, up to one of them, and nothing has undone."""

from typing import Any

from sqlalchemy import Connection, delete, insert, literal, select

from resumable.state.limits import check_size
from resumable.state.outcome import StoreRefused
from resumable.state.record import Run, StepRef, StepStatus
from resumable.state.sql import events, views
from resumable.state.sql.changes import new_row
from resumable.state.sql.database import Database
from resumable.state.sql.locked_run import lock
from resumable.state.sql.restart import ordinal_of
from resumable.state.sql.tables import run, step
from resumable.state.sql.undone import undone
from resumable.state.store import NewRun

# Of a copied step: no attempt of the new run made it, so that it counts as no attempt's progress.
_NOBODYS = {"attempt": 0, "sequence": 0}


def fork_run(database: Database, source_id: str, new: NewRun, up_to: StepRef | None) -> Run | None:
    """Make the new run, or find the one that is there with its id; None: there is no such source."""
    check_size(new.input, "run's input")
    if new.id == source_id:
        raise StoreRefused(f"run {source_id!r} can't be forked into itself: give the new run an id of its own")
    with database.writing() as connection:
        source = lock(database, connection, source_id)
        there = views.read_run(connection, new.id)
        if there is not None or source is None:
            return there
        now = database.now(connection)
        values = new_row(new, now) | _taken_over(source, with_input=new.input is None)
        if database.insert_if_absent(connection, run, values):
            _copy_steps(connection, source_id, new.id, up_to)
            events.add(connection, now, new.id, "Created", 0, f"forked from {source_id}")
        return views.read_run(connection, new.id)


def _taken_over(source: Any, *, with_input: bool) -> dict[str, Any]:
    columns = ["payload_codec", "payload", "record_version"]
    if with_input:
        columns += ["input_codec", "input"]
    return {"forked_from": source.id, **{column: source._mapping[column] for column in columns}}


def _copy_steps(connection: Connection, source_id: str, new_id: str, up_to: StepRef | None) -> None:
    other = {"run_id": new_id, **_NOBODYS}
    copied = [literal(other[column.name]) if column.name in other else column for column in step.c]
    query = select(*copied).where(step.c.run_id == source_id, step.c.status == StepStatus.DONE.value)
    if up_to is not None:
        query = query.where(step.c.ordinal <= ordinal_of(connection, source_id, up_to, last=True))
    connection.execute(insert(step).from_select([column.name for column in step.c], query))
    for which in undone(connection, source_id):
        connection.execute(delete(step).where(step.c.run_id == new_id, which))
