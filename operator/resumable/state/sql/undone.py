"""What a failure for good undid, in a run that goes on all the same: restarted, or as another run that it is forked to.

A step that was undone is as if it had never run, so it runs again there; and so do, at the next failure, the steps that
undo. Within its generation a run keeps both: an undoing that was interrupted is found again by replaying the job.
"""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, or_, select, tuple_

from resumable.state.record import COMPENSATE, ON_FAILURE, StepStatus
from resumable.state.sql.tables import step

_AT_ONCE = 200  # two parameters each; the drivers' limits are higher


def undone(connection: Connection, run_id: str) -> Iterator[ColumnElement[bool]]:
    """Conditions that together mean the steps of the run that undo, and those that they have undone."""
    undoing = or_(step.c.name.startswith(COMPENSATE), step.c.name.startswith(ON_FAILURE))
    query = select(step.c.name, step.c.key, step.c.status).where(step.c.run_id == run_id, undoing)
    which: list[tuple[str, str]] = []
    for name, key, status in connection.execute(query):
        which.append((name, key))
        if name.startswith(COMPENSATE) and status == StepStatus.DONE:
            which.append((name.removeprefix(COMPENSATE), key))
    for first in range(0, len(which), _AT_ONCE):
        yield tuple_(step.c.name, step.c.key).in_(which[first : first + _AT_ONCE])
