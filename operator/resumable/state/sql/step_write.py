"""The statements of a guarded write to a step: finish it, save its cursor, or show that it runs.

One set of clauses for every engine; how they are put together (one statement, or one transaction) is the engine's business. The
parameters are those of `worker.step_parameters`.

A *try* of a step is one run of its function. A row that is `Started` by an earlier attempt, or `Failed`, belongs to a try that is over: the
write that touches it next begins a new try, counts it, and copies the old one to `step_try`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    Select,
    String,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement

from resumable.state.record import RunStatus, StepStatus
from resumable.state.sql.tables import cursor, run, step, step_try

# The row that was to be inserted, inside ON CONFLICT DO UPDATE.
Excluded: TypeAlias = ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]


class Kind(Enum):
    """What is written."""

    FINISH = "finish"
    SAVE = "save"
    SHOW = "show"  # a heartbeat: no promise, and no write id


@dataclass(frozen=True, slots=True)
class StepWrite:
    """One shape of guarded write: equal ones have the same statements, so that each is compiled once.

    `after`: the kind of the write that has to be there still ("step", "cursor"), or "".
    """

    kind: Kind
    after: str = ""

    @property
    def target(self) -> str:
        """The table whose write id tells that this write landed before."""
        return "cursor" if self.kind is Kind.SAVE else "step"


run_id = bindparam("run_id", type_=String)
attempt = bindparam("attempt", type_=Integer)
name = bindparam("name", type_=String)
key = bindparam("key", type_=String)
sequence = bindparam("sequence", type_=BigInteger)
write_id = bindparam("write_id", type_=String)


def fenced_run() -> ColumnElement[bool]:
    """The fence: columns of the run's row and of nothing else, because only that row is read again after a wait for its lock."""
    return and_(
        run.c.id == run_id,
        run.c.attempt == attempt,
        run.c.nonce == bindparam("nonce", type_=String),
        run.c.status == RunStatus.RUNNING.value,
    )


def still_there(write: StepWrite) -> ColumnElement[bool]:
    """Whether the last acknowledged write is there still, or a later one of this attempt in its place.

    A subquery may look at this: what was acknowledged was committed before the statement began.
    """
    if not write.after:
        return true()
    table = {"step": step, "cursor": cursor}[write.after].alias("acknowledged")
    return exists(
        select(literal(1)).where(
            table.c.run_id == run_id,
            table.c.name == bindparam("after_name", type_=String),
            table.c.key == bindparam("after_key", type_=String),
            or_(
                table.c.write_id == bindparam("after_write_id", type_=String),
                and_(table.c.attempt == attempt, table.c.sequence >= bindparam("after_sequence", type_=BigInteger)),
            ),
        )
    )


def guard(write: StepWrite) -> Select[Any]:
    """All that `guard.judge` needs to know, in one row; none when the run is gone."""
    target = (cursor if write.target == "cursor" else step).alias("target")
    return (
        select(
            run.c.attempt,
            run.c.nonce,
            run.c.status,
            run.c.stop_requested,
            still_there(write).label("still_there"),
            target.c.write_id,
            step.c.status,
            step.c.attempt,
            step.c.sequence,
        )
        .select_from(
            run.outerjoin(step, and_(step.c.run_id == run.c.id, step.c.name == name, step.c.key == key)).outerjoin(
                target, and_(target.c.run_id == run.c.id, target.c.name == name, target.c.key == key)
            )
        )
        .where(run.c.id == run_id)
    )


def step_values(write: StepWrite, now: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """A fresh row of `step`."""
    finish = write.kind is Kind.FINISH
    values: dict[str, ColumnElement[Any]] = {
        "run_id": run_id,
        "name": name,
        "key": key,
        "ordinal": bindparam("ordinal", type_=Integer),
        "status": bindparam("status", type_=String),
        "attempt": attempt,
        "sequence": literal(-1, BigInteger) if write.kind is Kind.SHOW else sequence,
        "write_id": write_id if finish else literal("", String),
        "tries": literal(1, Integer),
        "interruptions": literal(0, Integer),
        "error": bindparam("error", type_=Text) if finish else literal("", Text),
        "started": now - bindparam("running_ms", type_=BigInteger),
    }
    if finish:
        values["result_codec"] = bindparam("result_codec", type_=String)
        values["result"] = bindparam("result", type_=LargeBinary)
        values["finished"] = now
        values["progress_message"] = literal("", Text)
    else:
        values["progress_current"] = bindparam("progress_current", type_=Float)
        values["progress_total"] = bindparam("progress_total", type_=Float)
        values["progress_message"] = bindparam("progress_message", type_=Text)
    if write.kind is Kind.SAVE:
        values["saved"] = now
    return values


# The row as it is belongs to the try that writes now.
SAME_TRY = and_(step.c.status == StepStatus.STARTED.value, step.c.attempt == attempt)


def step_change(write: StepWrite, excluded: Excluded) -> dict[str, Any]:
    """What becomes of a row of `step` that is there already."""
    cut_off = and_(step.c.status == StepStatus.STARTED.value, step.c.attempt != attempt)
    taken = ["ordinal", "status", "attempt", "error", "started"]
    if write.kind is Kind.FINISH:
        taken += ["sequence", "write_id", "result_codec", "result", "finished"]
    else:
        taken += ["progress_current", "progress_total", "progress_message"]
    change: dict[str, Any] = {column: excluded[column] for column in taken}
    change["tries"] = step.c.tries + case((SAME_TRY, 0), else_=1)
    change["interruptions"] = step.c.interruptions + case((cut_off, 1), else_=0)
    if write.kind is Kind.SAVE:
        change["sequence"] = excluded["sequence"]
        change["saved"] = excluded["saved"]
    if write.kind is Kind.SHOW:
        change["sequence"] = case((SAME_TRY, step.c.sequence), else_=excluded["sequence"])
    if write.kind is not Kind.FINISH:
        change["started"] = case((SAME_TRY, step.c.started), else_=excluded["started"])
        change["finished"] = None
    return change


def step_may_change(write: StepWrite) -> ColumnElement[bool]:
    """A done step never changes, and a write that was overtaken by a later one of its attempt (sent twice, arrived late) does nothing."""
    if write.kind is Kind.SHOW:
        newer = or_(step.c.attempt < attempt, SAME_TRY)
    else:
        newer = or_(step.c.attempt < attempt, and_(step.c.attempt == attempt, step.c.sequence < sequence))
    return and_(step.c.status != StepStatus.DONE.value, newer)


def replaced_try(write: StepWrite) -> Select[Any]:
    """The row of `step_try` for the try that this write is about to replace, if it is."""
    return select(
        step.c.run_id,
        step.c.name,
        step.c.key,
        step.c.tries,
        step.c.attempt,
        case((step.c.status == StepStatus.STARTED.value, "Interrupted"), else_=step.c.status),
        step.c.error,
        step.c.started,
        func.coalesce(step.c.finished, step.c.saved),
    ).where(
        step.c.run_id == run_id,
        step.c.name == name,
        step.c.key == key,
        ~SAME_TRY if write.kind is not Kind.SHOW else step.c.attempt < attempt,
        step_may_change(write),
    )


TRY_COLUMNS = [column.name for column in step_try.c]


def cursor_values(now: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """A fresh row of `cursor`."""
    return {
        "run_id": run_id,
        "name": name,
        "key": key,
        "value_codec": bindparam("value_codec", type_=String),
        "value": bindparam("value", type_=LargeBinary),
        "checkpoint": bindparam("checkpoint", type_=Text),
        "sequence": sequence,
        "attempt": attempt,
        "advanced_in": attempt,
        "write_id": write_id,
        "saved": now,
    }


def cursor_change(excluded: Excluded) -> dict[str, Any]:
    """What becomes of a row of `cursor` that is there already.

    A checkpoint's location is another one each time, so that it counts as an advance only when there is no value to compare.
    """
    same = case(
        (cursor.c.value.is_(None), cursor.c.checkpoint.is_not_distinct_from(excluded["checkpoint"])),
        else_=cursor.c.value.is_not_distinct_from(excluded["value"]),
    )
    taken = ["value_codec", "value", "checkpoint", "sequence", "attempt", "write_id", "saved"]
    return {
        **{column: excluded[column] for column in taken},
        "advanced_in": case((same, cursor.c.advanced_in), else_=excluded["attempt"]),
    }
