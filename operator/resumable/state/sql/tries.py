"""Every try of every step: those that later ones replaced, and the newest, which is the step's own row."""

from typing import Any

from sqlalchemy import Row, and_, case, func, select

from resumable.state.record import StepTry
from resumable.state.sql import rows
from resumable.state.sql.database import Database
from resumable.state.sql.step_write import STARTED, constant
from resumable.state.sql.tables import attempt, step, step_try


def list_tries(database: Database, run_id: str) -> tuple[StepTry, ...]:
    by_step = (step_try.c.name, step_try.c.key, step_try.c.number)
    replaced = select(step_try).where(step_try.c.run_id == run_id)
    # One that was started by an attempt that is over was interrupted, though no later one has touched it yet.
    over = and_(step.c.status == STARTED, attempt.c.ended.is_not(None))
    newest = (
        select(
            step.c.name,
            step.c.key,
            step.c.attempt,
            case((over, constant("Interrupted")), else_=step.c.status).label("outcome"),
            step.c.error,
            step.c.started,
            case((over, func.coalesce(step.c.saved, attempt.c.ended)), else_=step.c.finished).label("finished"),
        )
        .outerjoin_from(step, attempt, and_(attempt.c.run_id == step.c.run_id, attempt.c.number == step.c.attempt))
        .where(step.c.run_id == run_id)
        .order_by(step.c.ordinal, step.c.name, step.c.key)
    )
    with database.reading() as connection:
        earlier = connection.execute(replaced.order_by(*by_step)).all()
        current = connection.execute(newest).all()
    tries: dict[tuple[str, str], list[StepTry]] = {(row.name, row.key): [] for row in current}
    for row in earlier:  # steps that were forgotten come after those that are there
        tries.setdefault((row.name, row.key), []).append(_to_try(row, row.number))
    for row in current:
        of_step = tries[row.name, row.key]
        of_step.append(_to_try(row, of_step[-1].number + 1 if of_step else 1))  # numbers go on after it was forgotten
    return tuple(each for of_step in tries.values() for each in of_step)


def _to_try(row: Row[Any], number: int) -> StepTry:
    return StepTry(
        name=row.name,
        key=row.key,
        number=number,
        attempt=row.attempt,
        outcome=row.outcome,
        error=row.error,
        started=rows.maybe_moment(row.started),
        finished=rows.maybe_moment(row.finished),
    )
