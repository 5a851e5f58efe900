"""Running a run again, in place: a person's request, and the one way out of a terminal status.

It opens a new generation: budgets and time limits count from there. Everything that is not forgotten is kept, among it
the payload and what earlier waits have consumed (a signal counts once, so a forgotten wait waits for another). What a
failure has undone is forgotten in any case.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from resumable.state.outcome import ChangeOutcome, StoreRefused
from resumable.state.record import RunStatus, StepRef
from resumable.state.sql import events
from resumable.state.sql.database import Database
from resumable.state.sql.forget import forget
from resumable.state.sql.locked_run import (
    allows,
    attempt_row,
    change,
    changed,
    is_as_expected,
    lock,
    stale,
    status_values,
)
from resumable.state.sql.rows import encoded_columns
from resumable.state.sql.tables import RESTARTED, RUN_ID_LENGTH, attempt, step
from resumable.state.sql.text import identifier
from resumable.state.sql.undone import undone
from resumable.state.store import Expected, RestartRequest
from resumable.state.transitions import Transition

# As many as a message has room for.
MOST_NAMED = 20


def restart(database: Database, run_id: str, expected: Expected, request: RestartRequest) -> ChangeOutcome:
    """Forget what is to run again and make the run Pending; only while no process of it can live."""
    request_id = identifier(request.request_id, "the request's id", RUN_ID_LENGTH)
    if not request_id:
        raise StoreRefused(f"run {run_id!r}: a restart carries the id of its request, which is empty here")
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        if row is not None and row.restart_id == request_id:  # done before
            return changed(connection, run_id)
        if row is None or not is_as_expected(row, expected) or not allows(Transition.RESTART, row, RunStatus.PENDING):
            return stale(connection, run_id)
        if row.attempt > 0:
            ended = connection.execute(select(attempt.c.ended).where(attempt_row(run_id, row.attempt))).scalar_one()
            if ended is None:  # its pod may live, and what it does would be forgotten under it
                return stale(connection, run_id)
        for which in (*undone(connection, run_id), *_to_forget(connection, run_id, request)):
            forget(connection, run_id, which)
        now = database.now(connection)
        events.add(connection, now, run_id, RESTARTED, row.attempt, request_id)
        begun_anew: dict[str, Any] = {
            "generation": row.generation + 1,
            "restart_id": request_id,
            "stop_requested": "",
            "cancel_requested": False,
            "started": None,
            "expires": None,
            "error": "",
            **encoded_columns("result", None),
        }
        return change(connection, row, now, **status_values(RunStatus.PENDING, RESTARTED, "", now), **begun_anew)


def ordinal_of(connection: Connection, run_id: str, ref: StepRef, *, last: bool = False) -> int:
    """The ordinal of a step; of one given without a key the first (or `last`) of its keys.

    Raises `StoreRefused` that names the steps there are.
    """
    of_run = step.c.run_id == run_id
    which = func.max(step.c.ordinal) if last else func.min(step.c.ordinal)
    found: int | None = connection.execute(select(which).where(of_run, named(ref))).scalar()
    if found is not None:
        return found
    query = select(step.c.name, step.c.key).where(of_run).order_by(step.c.ordinal, step.c.name, step.c.key)
    there = [f"{name}[{key}]" if key else name for name, key in connection.execute(query.limit(MOST_NAMED + 1))]
    more = ", …" if len(there) > MOST_NAMED else ""
    label = f"{ref.name}[{ref.key}]" if ref.key else ref.name
    raise StoreRefused(
        f"run {run_id!r} has no step {label}; "
        + (f"it has {', '.join(there[:MOST_NAMED])}{more}" if there else "it has none yet")
    )


def named(ref: StepRef) -> ColumnElement[bool]:
    """The steps that a reference means."""
    same = step.c.name == ref.name
    return same if ref.key is None else and_(same, step.c.key == ref.key)


def _to_forget(connection: Connection, run_id: str, request: RestartRequest) -> list[ColumnElement[bool]]:
    which = [named(ref) for ref in request.forget]
    if request.from_step is not None:
        which.append(named(request.from_step))
        which.append(step.c.ordinal >= ordinal_of(connection, run_id, request.from_step))
    return [or_(*which)] if which else []
