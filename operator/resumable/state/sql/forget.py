"""Forgetting steps: they run again. What they tried stays as history."""

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, select

from resumable.state.sql.step_write import ONE, TRY_COLUMNS, over_tries
from resumable.state.sql.tables import cursor, step, step_try


def forget(connection: Connection, run_id: str, which: ColumnElement[bool]) -> None:
    """Remove these steps of the locked run, with their cursors; their newest tries go to the others, numbered on."""
    mine = and_(step.c.run_id == run_id, which)
    connection.execute(insert(step_try).from_select(TRY_COLUMNS, over_tries(mine)))
    same = and_(step.c.run_id == cursor.c.run_id, step.c.name == cursor.c.name, step.c.key == cursor.c.key)
    connection.execute(delete(cursor).where(cursor.c.run_id == run_id, exists(select(ONE).where(same, mine))))
    connection.execute(delete(step).where(mine))
