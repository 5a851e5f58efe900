"""Forgetting steps: they run again. What they tried stays as history."""

from sqlalchemy import ColumnElement, Connection, and_, case, delete, exists, func, insert, select

from resumable.state.sql.step_write import ONE, STARTED, TRY_COLUMNS, constant
from resumable.state.sql.tables import cursor, step, step_try


def forget(connection: Connection, run_id: str, which: ColumnElement[bool]) -> None:
    """Remove these steps of the locked run, with their cursors; their newest tries go to the others, numbered on."""
    mine = and_(step.c.run_id == run_id, which)
    earlier = step_try.alias("earlier")
    before = select(func.coalesce(func.max(earlier.c.number), 0)).where(
        earlier.c.run_id == step.c.run_id, earlier.c.name == step.c.name, earlier.c.key == step.c.key
    )
    newest = select(
        step.c.run_id,
        step.c.name,
        step.c.key,
        before.scalar_subquery() + ONE,
        step.c.attempt,
        case((step.c.status == STARTED, constant("Interrupted")), else_=step.c.status),
        step.c.error,
        step.c.started,
        func.coalesce(step.c.finished, step.c.saved),
    ).where(mine)
    connection.execute(insert(step_try).from_select(TRY_COLUMNS, newest))
    same = and_(step.c.run_id == cursor.c.run_id, step.c.name == cursor.c.name, step.c.key == cursor.c.key)
    connection.execute(delete(cursor).where(cursor.c.run_id == run_id, exists(select(ONE).where(same, mine))))
    connection.execute(delete(step).where(mine))
