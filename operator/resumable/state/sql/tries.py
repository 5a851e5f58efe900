"""Every try of every step: those that later ones replaced, and the newest, which is the step's own row."""

from collections import defaultdict

from sqlalchemy import and_, case, func, select

from resumable.state.record import StepTry
from resumable.state.sql import rows
from resumable.state.sql.database import Database
from resumable.state.sql.step_write import STARTED, constant
from resumable.state.sql.tables import attempt, step, step_try


def list_tries(database: Database, run_id: str) -> tuple[StepTry, ...]:
    by_step = (step_try.c.name, step_try.c.key, step_try.c.number)
    replaced = select(
        step_try.c.name, step_try.c.key, *(step_try.c[name] for name in _COLUMNS), step_try.c.number
    ).where(step_try.c.run_id == run_id)
    # One that was started by an attempt that is over was interrupted, though no later one has touched it yet.
    over = and_(step.c.status == STARTED, attempt.c.ended.is_not(None))
    newest = (
        select(
            step.c.name,
            step.c.key,
            step.c.attempt,
            case((over, constant("Interrupted")), else_=step.c.status),
            step.c.error,
            step.c.started,
            case((over, func.coalesce(step.c.saved, attempt.c.ended)), else_=step.c.finished),
        )
        .outerjoin_from(step, attempt, and_(attempt.c.run_id == step.c.run_id, attempt.c.number == step.c.attempt))
        .where(step.c.run_id == run_id)
        .order_by(step.c.ordinal, step.c.name, step.c.key)
    )
    with database.reading() as connection:
        earlier = connection.execute(replaced.order_by(*by_step)).all()
        current = connection.execute(newest).all()
    tries: dict[tuple[str, str], list[StepTry]] = defaultdict(list)
    for name, key in (
        (row.name, row.key) for row in current
    ):  # steps that are forgotten come after those that are there
        tries[name, key]
    for name, key, number, outcome, error, started, finished, count in earlier:
        tries[name, key].append(_to_try(name, key, count, number, outcome, error, started, finished))
    for name, key, number, outcome, error, started, finished in current:
        of_step = tries[name, key]
        count = of_step[-1].number + 1 if of_step else 1  # numbers go on after a step was forgotten
        of_step.append(_to_try(name, key, count, number, outcome, error, started, finished))
    return tuple(each for of_step in tries.values() for each in of_step)


_COLUMNS = ("attempt", "outcome", "error", "started", "finished")


def _to_try(
    name: str,
    key: str,
    count: int,
    number: int,
    outcome: str,
    error: str,
    started: int | None,
    finished: int | None,
) -> StepTry:
    return StepTry(
        name=name,
        key=key,
        number=count,
        attempt=number,
        outcome=outcome,
        error=error,
        started=rows.maybe_moment(started),
        finished=rows.maybe_moment(finished),
    )
