"""Several workers' step writes in one transaction (group commit).

The order is the same in every program, so that groups of two programs can't wait for each other's locks: by run, in a
run the write with the strongest lock first (a shared lock is never raised to an exclusive one), then by step.
"""

from collections.abc import Sequence

from resumable.state.outcome import StoreError, WriteOutcome
from resumable.state.sql import worker
from resumable.state.sql.database import Database, GuardedStatement, NotBegun
from resumable.state.store import GuardedWrite


def write_together(database: Database, writes: Sequence[GuardedWrite]) -> list[WriteOutcome | StoreError]:
    """The answers, in the order of `writes`. One that the store refuses, or that fails, costs the others nothing."""
    answers: dict[int, WriteOutcome | StoreError] = {}
    ready: dict[int, GuardedStatement] = {}
    for number, write in enumerate(writes):
        try:
            ready[number] = worker.step_write(write.fence, write.write, write.step)
        except StoreError as error:
            answers[number] = error
    order = sorted(ready, key=lambda number: lock_order(writes[number], ready[number].shape.locks_run))
    answers |= zip(order, _write(database, [ready[number] for number in order]), strict=True)
    return [answers[number] for number in range(len(writes))]


def lock_order(write: GuardedWrite, locks_run: bool) -> tuple[str, bool, str, str, int]:
    """Sorts writes as they may be made in one transaction."""
    return (write.fence.run_id, not locks_run, write.step.name, write.step.key, write.write.sequence)


def _write(database: Database, group: Sequence[GuardedStatement]) -> Sequence[WriteOutcome | StoreError]:
    if not database.writes_groups or len(group) == 1:
        return [_alone(database, write) for write in group]
    try:
        return database.write_steps(group)
    except NotBegun as error:
        return [error] * len(group)
    except StoreError:
        # Nothing of it landed, or nobody knows: the same write ids, each in a transaction of its own, tell.
        return _one_by_one(database, group)


def _one_by_one(database: Database, group: Sequence[GuardedStatement]) -> list[WriteOutcome | StoreError]:
    answers: list[WriteOutcome | StoreError] = []
    for write in group:
        try:
            answers += database.write_steps([write])
        except NotBegun as error:  # the database is away: the rest would wait as long, one after the other
            return answers + [error] * (len(group) - len(answers))
        except StoreError as error:
            answers.append(error)
    return answers


def _alone(database: Database, write: GuardedStatement) -> WriteOutcome | StoreError:
    try:
        return database.write_step(*write)
    except StoreError as error:
        return error
