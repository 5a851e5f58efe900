"""A run's row, locked, compared and changed: what every call but the worker's step writes does first and last."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from resumable.state import transitions
from resumable.state.outcome import Changed, ChangeOutcome, Stale
from resumable.state.record import RunStatus
from resumable.state.sql import views
from resumable.state.sql.database import Database
from resumable.state.sql.tables import attempt, run
from resumable.state.sql.text import free_text, word
from resumable.state.store import Expected
from resumable.state.transitions import Transition

# What a run that no longer waits does not have.
NOT_WAITING: dict[str, Any] = {"wake_at": None, "wake_on": ""}


def lock(database: Database, connection: Connection, run_id: str) -> Row[Any] | None:
    """The run's row, against which all its writers wait until this transaction ends; None: there is no such run."""
    return connection.execute(database.lock_row(select(run).where(run.c.id == run_id))).one_or_none()


def attempt_row(run_id: str, number: int) -> ColumnElement[bool]:
    """The row of one attempt, as a condition."""
    return (attempt.c.run_id == run_id) & (attempt.c.number == number)


def is_as_expected(row: Row[Any], expected: Expected) -> bool:
    """Whether the row is as the controller read it."""
    return (row.attempt, row.status, row.version) == (expected.attempt, expected.status, expected.version)


def allows(transition: Transition, row: Row[Any], after: RunStatus) -> bool:
    """Whether `transition` may take the run to `after`."""
    return transitions.allowed(transition, RunStatus(row.status), after)


def status_values(after: RunStatus, reason: str, message: str, now: int) -> dict[str, Any]:
    """The columns of a status that the controller writes."""
    return {
        "status": after.value,
        "reason": word(reason),
        "message": free_text(message),
        "finished": now if after.terminal else None,
        **NOT_WAITING,
    }


def change(connection: Connection, row: Row[Any], now: int, **values: Any) -> ChangeOutcome:
    """Change the locked row; its version grows."""
    connection.execute(update(run).where(run.c.id == row.id).values(version=row.version + 1, updated=now, **values))
    return changed(connection, row.id)


def changed(connection: Connection, run_id: str) -> Changed:
    """The answer that shows the locked run as it is."""
    found = views.read_run(connection, run_id)
    assert found is not None  # locked by the caller
    return Changed(found)


def stale(connection: Connection, run_id: str) -> Stale:
    """The refusal that shows the run as it is."""
    return Stale(views.read_run(connection, run_id))
