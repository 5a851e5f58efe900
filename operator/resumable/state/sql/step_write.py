"""The statements of a guarded write to a step: finish it, save its cursor, or show that it runs.

One set of clauses for every engine; how they are put together (one statement, or one transaction) is the engine's
business. The parameters are made by `worker`.

A *try* of a step is one run of its function. A row that is `Started` by an earlier attempt, or `Failed`, belongs to a
try that is over: the write that touches it next begins a new try, counts it, and copies the old one to `step_try`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    BindParameter,
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
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeEngine

from resumable.state.record import RunStatus, StepStatus
from resumable.state.sql.tables import cursor, run, step, step_try

# The row that was to be inserted: by its name inside ON CONFLICT DO UPDATE, or its values.
Excluded: TypeAlias = ReadOnlyColumnCollection[str, KeyedColumnElement[Any]] | Mapping[str, ColumnElement[Any]]


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
    def locks_run(self) -> bool:
        """Whether it changes the run's row, and so locks it against the other writers of the run."""
        return False


def parameter(name: str, kind: type[TypeEngine[Any]]) -> BindParameter[Any]:
    """A parameter of the statement, by the name that `worker` gives it."""
    return bindparam(name, type_=kind, required=False)  # required: when it is executed, not when it is compiled


def constant(value: str | int) -> ColumnElement[Any]:
    """A value that is part of the statement's text, not a parameter of it."""
    return literal(value, literal_execute=True)


STARTED = constant(StepStatus.STARTED.value)
DONE = constant(StepStatus.DONE.value)
RUNNING = constant(RunStatus.RUNNING.value)
EMPTY, ZERO, ONE = constant(""), constant(0), constant(1)

run_id = parameter("run_id", String)
attempt = parameter("attempt", Integer)
name = parameter("name", String)
key = parameter("key", String)
sequence = parameter("sequence", BigInteger)
write_id = parameter("write_id", String)


def fenced_run() -> ColumnElement[bool]:
    """The fence: of the run's row and of nothing else, as only that row is read again after a wait for its lock."""
    return and_(
        run.c.id == run_id,
        run.c.attempt == attempt,
        run.c.nonce == parameter("nonce", String),
        run.c.status == RUNNING,
    )


def still_there(write: StepWrite) -> ColumnElement[bool]:
    """Whether the last acknowledged write is there still, or a later one of this attempt in its place.

    A subquery may look at this: what was acknowledged was committed before the statement began.
    """
    if not write.after:
        return true()
    table = {"step": step, "cursor": cursor}[write.after].alias("acknowledged")
    return exists(
        select(ONE).where(
            table.c.run_id == run_id,
            table.c.name == parameter("after_name", String),
            table.c.key == parameter("after_key", String),
            or_(
                table.c.write_id == parameter("after_write_id", String),
                and_(table.c.attempt == attempt, table.c.sequence >= parameter("after_sequence", BigInteger)),
            ),
        )
    )


def guard(write: StepWrite) -> Select[Any]:
    """All that `guard.judge` needs to know, in one row; none when the run is gone."""
    tables = run.outerjoin(step, and_(step.c.run_id == run.c.id, step.c.name == name, step.c.key == key))
    if write.kind is Kind.SAVE:
        mine = and_(cursor.c.run_id == run.c.id, cursor.c.name == name, cursor.c.key == key)
        tables = tables.outerjoin(cursor, mine)
    return (
        select(
            run.c.attempt,
            run.c.nonce,
            run.c.status,
            run.c.stop_requested,
            still_there(write).label("still_there"),
            cursor.c.write_id if write.kind is Kind.SAVE else step.c.write_id,
            step.c.status,
            step.c.attempt,
            step.c.sequence,
        )
        .select_from(tables)
        .where(run.c.id == run_id)
    )


def step_values(write: StepWrite, now: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """A fresh row of `step`."""
    finish = write.kind is Kind.FINISH
    values: dict[str, ColumnElement[Any]] = {
        "run_id": run_id,
        "name": name,
        "key": key,
        "ordinal": parameter("ordinal", Integer),
        "status": parameter("status", String),
        "attempt": attempt,
        "sequence": constant(-1) if write.kind is Kind.SHOW else sequence,
        "write_id": write_id if finish else EMPTY,
        "tries": ONE,
        "interruptions": ZERO,
        "error": parameter("error", Text) if finish else EMPTY,
        "started": now - parameter("running_ms", BigInteger),
    }
    if finish:
        values["result_codec"] = parameter("result_codec", String)
        values["result"] = cast(parameter("result", LargeBinary), LargeBinary)
        values["finished"] = now
        values["progress_message"] = EMPTY
    else:
        values["progress_current"] = cast(parameter("progress_current", Float), Float(53))
        values["progress_total"] = cast(parameter("progress_total", Float), Float(53))
        values["progress_message"] = parameter("progress_message", Text)
    if write.kind is Kind.SAVE:
        values["saved"] = now
    return values


# The row as it is belongs to the try that writes now.
SAME_TRY = and_(step.c.status == STARTED, step.c.attempt == attempt)


def step_change(write: StepWrite, excluded: Excluded) -> dict[str, Any]:
    """What becomes of a row of `step` that is there already."""
    cut_off = and_(step.c.status == STARTED, step.c.attempt != attempt)
    taken = ["ordinal", "status", "attempt", "error", "started"]
    if write.kind is Kind.FINISH:
        taken += ["sequence", "write_id", "result_codec", "result", "finished"]
    else:
        taken += ["progress_current", "progress_total", "progress_message"]
    change: dict[str, Any] = {column: excluded[column] for column in taken}
    change["tries"] = step.c.tries + case((SAME_TRY, ZERO), else_=ONE)
    change["interruptions"] = step.c.interruptions + case((cut_off, ONE), else_=ZERO)
    if write.kind is Kind.SAVE:
        change["sequence"] = excluded["sequence"]
        change["saved"] = excluded["saved"]
    if write.kind is Kind.SHOW:
        change["sequence"] = case((SAME_TRY, step.c.sequence), else_=excluded["sequence"])
    if write.kind is not Kind.FINISH:
        change["started"] = case((SAME_TRY, step.c.started), else_=excluded["started"])
        change["finished"] = null()
    return change


def step_may_change(write: StepWrite) -> ColumnElement[bool]:
    """A done step never changes; a write that a later one of its attempt overtook (sent twice, late) does nothing."""
    if write.kind is Kind.SHOW:
        newer = or_(step.c.attempt < attempt, SAME_TRY)
    else:
        newer = or_(step.c.attempt < attempt, and_(step.c.attempt == attempt, step.c.sequence < sequence))
    return and_(step.c.status != DONE, newer)


def replaced_try(write: StepWrite) -> Select[Any]:
    """The row of `step_try` for the try that this write is about to replace, if it is."""
    return select(
        step.c.run_id,
        step.c.name,
        step.c.key,
        step.c.tries,
        step.c.attempt,
        case((step.c.status == STARTED, constant("Interrupted")), else_=step.c.status),
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
        "value_codec": parameter("value_codec", String),
        "value": cast(parameter("value", LargeBinary), LargeBinary),
        "checkpoint": parameter("checkpoint", Text),
        "sequence": sequence,
        "attempt": attempt,
        "advanced_in": attempt,
        "write_id": write_id,
        "saved": now,
    }


def cursor_change(excluded: Excluded) -> dict[str, Any]:
    """What becomes of a row of `cursor` that is there already.

    A checkpoint's location is another one each time, so that it counts as an advance only when there is no value to
    compare.
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
