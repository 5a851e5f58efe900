"""The sweep: results and records that were kept for a time that is over, by the store's clock.

A step's row stays without its result, so that a resume knows that it was done. Each run is swept in a transaction of
its own that locks its row first, as everybody who writes to it does.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, select, update

from resumable.state.record import RunStatus
from resumable.state.sql.changes import remove
from resumable.state.sql.database import Database
from resumable.state.sql.locked_run import lock
from resumable.state.sql.rows import encoded_columns
from resumable.state.sql.tables import KEPT_FOR_A_TIME, run, step

# Of one call; what is left is the next one's.
MOST_RUNS = 1000


def collect(database: Database) -> int:
    """Remove what is due; how many results and records that were."""
    with database.reading() as connection:
        now = database.now(connection)
        over = and_(KEPT_FOR_A_TIME, step.c.expires <= now)
        steps = _ids(connection, select(step.c.run_id).where(over).distinct())
        runs = _ids(connection, select(run.c.id).where(run.c.expires.is_not(None), run.c.expires <= now))
    dropped = update(step).where(over).values(encoded_columns("result", None))
    removed = 0
    for run_id in steps:
        removed += _locked(
            database,
            run_id,
            lambda connection, row: connection.execute(dropped.where(step.c.run_id == row.id)).rowcount,
        )
    for run_id in runs:
        removed += _locked(database, run_id, lambda connection, row: _remove_if_due(connection, row, now))
    return removed


def _ids(connection: Connection, query: Select[str]) -> list[str]:
    return [run_id for (run_id,) in connection.execute(query.limit(MOST_RUNS))]


def _locked(database: Database, run_id: str, sweep: Callable[[Connection, Row[Any]], int]) -> int:
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        return 0 if row is None else sweep(connection, row)


def _remove_if_due(connection: Connection, row: Row[Any], now: int) -> int:
    due = row.expires is not None and row.expires <= now and RunStatus(row.status).terminal
    if due:  # still: it may have been restarted between our look and our lock
        remove(connection, row.id)
    return int(due)
