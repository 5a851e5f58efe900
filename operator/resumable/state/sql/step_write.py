"""The statements of a guarded write to a step: start it, finish it, save its cursor, or show that it runs.

One set of clauses for every engine; how they are put together (one statement, or one transaction) is the engine's
business. The parameters are made by `worker`.

A *try* of a step is one run of its function. A row that is `Started` by an earlier attempt, or `Failed`, belongs to a
try that is over: the write that touches it next begins a new try, counts it, and copies the old one to `step_try`. A
wait or a sleep (started, without an effect) goes on from attempt to attempt and is one try.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    Select,
    String,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeEngine

from resumable.state.record import RunStatus, StepStatus
from resumable.state.sql.tables import cursor, run, signal, step, step_try

# The row that was to be inserted: by its name inside ON CONFLICT DO UPDATE, or its values.
Excluded: TypeAlias = ReadOnlyColumnCollection[str, KeyedColumnElement[Any]] | Mapping[str, ColumnElement[Any]]


class Kind(Enum):
    """What is written."""

    START = "start"
    FINISH = "finish"
    SAVE = "save"
    SHOW = "show"  # a heartbeat: no promise, and no write id


@dataclass(frozen=True, slots=True)
class StepWrite:
    """One shape of guarded write: equal ones have the same statements, so that each is compiled once.

    `after`: the kind of the write that has to be there still ("step", "cursor"), or "". `detailed`: of a finished step,
    what few have (a failure, a limit on how long its result is kept); the others don't pay for it.
    """

    kind: Kind
    after: str = ""
    detailed: bool = False
    payload: bool = False
    consumes: bool = False
    compares_signals: bool = False

    @property
    def locks_run(self) -> bool:
        """Whether it depends on more of the run than its fence, and so locks its row against the run's other writers.

        Its first lock is the exclusive one: a shared lock that two of them raise is a deadlock.
        """
        return self.payload or self.consumes or self.compares_signals


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
effect = parameter("effect", String)


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


WRITTEN_ID = 7  # where `guard` has it


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
            run.c.signal_seq,
            _signal_is_there() if write.consumes else true(),
            still_there(write).label("still_there"),
            cursor.c.write_id if write.kind is Kind.SAVE else step.c.write_id,
            step.c.status,
            step.c.attempt,
            step.c.sequence,
        )
        .select_from(tables)
        .where(run.c.id == run_id)
    )


def _this_signal() -> ColumnElement[bool]:
    return and_(signal.c.run_id == run_id, signal.c.id == parameter("signal_id", String), signal.c.consumed_by == EMPTY)


def _signal_is_there() -> ColumnElement[bool]:
    """Only for a guard that looks after it has locked the run's row: a subquery keeps its snapshot over the wait."""
    return exists(select(ONE).where(_this_signal()))


def take_signal() -> Update:
    """Mark the signal as consumed by this step."""
    return update(signal).where(_this_signal()).values(consumed_by=parameter("consumed_by", Text))


def save_payload(now: ColumnElement[Any]) -> Update:
    """Change the payload in the run's row, unless a later write of this attempt has."""
    return (
        update(run)
        .where(run.c.id == run_id, run.c.payload_sequence <= sequence)
        .values(
            payload_codec=parameter("payload_codec", String),
            payload=cast(parameter("payload", LargeBinary), LargeBinary),
            payload_sequence=sequence,
            version=run.c.version + ONE,
            updated=now,
        )
    )


def step_values(write: StepWrite, now: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """A fresh row of `step`."""
    finish, start = write.kind is Kind.FINISH, write.kind is Kind.START
    values: dict[str, ColumnElement[Any]] = {
        "run_id": run_id,
        "name": name,
        "key": key,
        "ordinal": parameter("ordinal", Integer),
        "status": parameter("status", String),
        "attempt": attempt,
        "sequence": constant(-1) if write.kind is Kind.SHOW else sequence,
        "write_id": write_id if finish or start else EMPTY,
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
    elif start:
        values["progress_message"] = EMPTY
        values["effect"] = effect
        after_ms = now + parameter("deadline_after_ms", BigInteger)
        values["deadline"] = func.coalesce(parameter("deadline", BigInteger), after_ms)
    else:
        values["progress_current"] = cast(parameter("progress_current", Float), Float(53))
        values["progress_total"] = cast(parameter("progress_total", Float), Float(53))
        values["progress_message"] = parameter("progress_message", Text)
    if write.detailed:
        values["failures"] = parameter("failures", Integer)
        values["final"] = parameter("final", Boolean)
        values["retry_at"] = now + parameter("retry_after_ms", BigInteger)
        values["expires"] = now + parameter("expires_after_ms", BigInteger)
        values["until_done"] = parameter("until_done", Boolean)
    if write.kind is Kind.SAVE:
        values["saved"] = now
    return values


def same_try(write: StepWrite) -> ColumnElement[bool]:
    """Whether the row as it is belongs to the try that writes now."""
    mine = step.c.attempt == attempt
    if write.kind is Kind.START:
        mine = or_(mine, effect == EMPTY)
    return and_(step.c.status == STARTED, mine)


def step_change(write: StepWrite, excluded: Excluded) -> dict[str, Any]:
    """What becomes of a row of `step` that is there already."""
    same = same_try(write)
    cut_off = and_(step.c.status == STARTED, ~same)
    taken = ["ordinal", "status", "attempt", "error", "started"]
    if write.kind is Kind.FINISH:
        taken += ["sequence", "write_id", "result_codec", "result", "finished"]
    elif write.kind is Kind.START:
        taken += ["sequence", "write_id", "effect"]
    else:
        taken += ["progress_current", "progress_total", "progress_message"]
    change: dict[str, Any] = {column: excluded[column] for column in taken}
    change["tries"] = step.c.tries + case((same, ZERO), else_=ONE)
    change["interruptions"] = step.c.interruptions + case((cut_off, ONE), else_=ZERO)
    change["final"], change["retry_at"] = false(), null()
    if write.kind is Kind.FINISH:
        change["expires"], change["until_done"] = null(), false()
    if write.detailed:
        change |= {column: excluded[column] for column in ("final", "retry_at", "expires", "until_done")}
        change["failures"] = step.c.failures + excluded["failures"]
    if write.kind is Kind.START:
        change["deadline"] = func.coalesce(step.c.deadline, excluded["deadline"])  # the first start has fixed it
    if write.kind is Kind.SAVE:
        change["sequence"] = excluded["sequence"]
        change["saved"] = excluded["saved"]
    if write.kind is Kind.SHOW:
        change["sequence"] = case((same, step.c.sequence), else_=excluded["sequence"])
    if write.kind is not Kind.FINISH:
        change["started"] = case((same, step.c.started), else_=excluded["started"])
        change["finished"] = null()
    return change


def step_may_change(write: StepWrite) -> ColumnElement[bool]:
    """A done step never changes; a write that a later one of its attempt overtook (sent twice, late) does nothing."""
    if write.kind is Kind.SHOW:
        newer = or_(step.c.attempt < attempt, same_try(write))
    else:
        newer = or_(step.c.attempt < attempt, and_(step.c.attempt == attempt, step.c.sequence < sequence))
    return and_(step.c.status != DONE, newer)


def replaced_try(write: StepWrite) -> Select[Any]:
    """The row of `step_try` for the try that this write is about to replace, if it is."""
    return over_tries(
        step.c.run_id == run_id,
        step.c.name == name,
        step.c.key == key,
        ~same_try(write) if write.kind is not Kind.SHOW else step.c.attempt < attempt,
        step_may_change(write),
    )


def over_tries(*these: ColumnElement[bool]) -> Select[Any]:
    """Rows of `step_try` for the newest tries of these steps, which are replaced or forgotten."""
    same_step = (step_try.c.run_id == step.c.run_id, step_try.c.name == step.c.name, step_try.c.key == step.c.key)
    earlier = select(func.max(step_try.c.number)).where(*same_step).correlate(step).scalar_subquery()
    return select(
        step.c.run_id,
        step.c.name,
        step.c.key,
        func.coalesce(earlier, ZERO) + ONE,
        step.c.attempt,
        case((step.c.status == STARTED, constant("Interrupted")), else_=step.c.status),
        step.c.error,
        step.c.started,
        func.coalesce(step.c.finished, step.c.saved),
    ).where(*these)


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
