"""A worker's calls. Each is refused, and changes nothing, unless its fence is the stored one and the run is running.

Writes to steps go through `Database.write_step`, which does not touch the run's row. `begin`, the payload and the end
do, and lock it before anything else.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Row, select, update

from resumable.state import transitions
from resumable.state.outcome import (
    AlreadyDone,
    AlreadyStored,
    BeginOutcome,
    Begun,
    Fenced,
    NotBound,
    Rewound,
    Stopped,
    Stored,
    StoreRefused,
    WriteOutcome,
)
from resumable.state.record import Encoded, Fence, RunStatus, StepStatus, Write
from resumable.state.sql import events, views
from resumable.state.sql.database import Database, GuardedStatement
from resumable.state.sql.guard import check_fence, judge, missing, no_such_run
from resumable.state.sql.rows import encoded_columns
from resumable.state.sql.step_write import Kind, StepWrite, still_there
from resumable.state.sql.tables import STEP_KEY_LENGTH, STEP_NAME_LENGTH, attempt, run
from resumable.state.sql.text import free_text, identifier, word
from resumable.state.store import Beginning, FinishedStep, RunEnd, SavedCursor, StepActivity
from resumable.state.transitions import Transition


def begin(database: Database, fence: Fence, beginning: Beginning) -> BeginOutcome:
    """Bind the attempt to the calling process and read all that is to be resumed."""
    with database.writing() as connection:
        row = connection.execute(database.lock_row(select(run).where(run.c.id == fence.run_id))).one_or_none()
        if row is None:
            return no_such_run(fence)
        if fenced := check_fence(fence, row.attempt, row.nonce):
            return fenced
        mine = (attempt.c.run_id == fence.run_id) & (attempt.c.number == fence.attempt)
        bound = connection.execute(select(attempt).where(mine)).one()
        if beginning.pod_uid and beginning.pod_uid != bound.pod_uid:
            return NotBound(fence.attempt)
        if bound.process_id not in ("", beginning.process_id):
            return Fenced(fence.attempt, f"another process has begun attempt {fence.attempt}")
        if bound.ended is not None:
            return Fenced(fence.attempt, f"attempt {fence.attempt} is over: its end is counted")
        before = RunStatus(row.status)
        if not transitions.allowed(Transition.BEGIN, before, RunStatus.RUNNING):
            return Stopped(before)
        if not bound.process_id:
            now = database.now(connection)
            connection.execute(update(attempt).where(mine).values(process_id=beginning.process_id, begun=now))
            _change_run(
                connection,
                row,
                now,
                status=RunStatus.RUNNING.value,
                reason="",
                message="",
                code_version=free_text(beginning.code_version),
                started=row.started or now,
            )
            events.add(connection, now, fence.run_id, "Begun", fence.attempt)
        return _begun(connection, fence)


def _begun(connection: Connection, fence: Fence) -> Begun:
    """The resume's one read."""
    record = views.read_run(connection, fence.run_id)
    assert record is not None  # locked by the caller
    return Begun(
        run=record,
        attempt=views.read_attempts(connection, fence.run_id)[-1],
        steps=views.read_steps(connection, fence.run_id),
        cursors=views.read_cursors(connection, fence.run_id, unfinished=True),
    )


def finish_step(database: Database, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
    """Store a step's result or its failure."""
    return database.write_step(*step_write(fence, write, step))


def save_cursor(database: Database, fence: Fence, write: Write, saved: SavedCursor) -> WriteOutcome:
    """Store how far a step got, and show that it runs."""
    return database.write_step(*step_write(fence, write, saved))


def step_write(fence: Fence, write: Write, step: FinishedStep | SavedCursor) -> GuardedStatement:
    """A write to a step, made ready. Raises `StoreRefused` for one that no database takes."""
    after = write.after.kind if write.after else ""
    judged = partial(judge, fence, write, step.name, step.key)
    if isinstance(step, SavedCursor):
        parameters = _step_parameters(fence, write, step.name, step.key, step.ordinal, step.running_ms)
        _add_progress(parameters, step)
        parameters["checkpoint"] = identifier(step.checkpoint, "the checkpoint's location", 4096)
        parameters |= encoded_columns("value", step.value)
        return GuardedStatement(StepWrite(Kind.SAVE, after), parameters, judged)
    parameters = _step_parameters(fence, write, step.name, step.key, step.ordinal, step.duration_ms)
    parameters["status"] = "Failed" if step.error else "Done"
    parameters["error"] = free_text(step.error)
    parameters["result_codec"] = step.result.codec if step.result else None
    parameters["result"] = step.result.data if step.result else None
    return GuardedStatement(StepWrite(Kind.FINISH, after), parameters, judged)


def heartbeat(database: Database, fence: Fence, activity: tuple[StepActivity, ...]) -> WriteOutcome:
    """Check the fence, and show what runs. What can't be shown (done meanwhile) is left out."""
    for shown in activity:
        parameters = _step_parameters(fence, None, shown.name, shown.key, shown.ordinal, shown.running_ms)
        _add_progress(parameters, shown)
        judged: Callable[..., WriteOutcome] = partial(judge, fence, None, shown.name, shown.key)
        outcome = database.write_step(StepWrite(Kind.SHOW), parameters, judged)
        if not isinstance(outcome, Stored | AlreadyDone):
            return outcome
    with database.reading() as connection:
        columns = (run.c.attempt, run.c.nonce, run.c.status, run.c.stop_requested)
        row = connection.execute(select(*columns).where(run.c.id == fence.run_id)).one_or_none()
    if row is None:
        return no_such_run(fence)
    if fenced := check_fence(fence, row.attempt, row.nonce):
        return fenced
    return Stored(row.stop_requested) if row.status == RunStatus.RUNNING else Stopped(RunStatus(row.status))


def save_payload(database: Database, fence: Fence, write: Write, payload: Encoded) -> WriteOutcome:
    """Store the payload that all steps share."""
    values = {"payload_write_id": write.write_id, **encoded_columns("payload", payload)}
    with database.writing() as connection:
        return _write_run(database, connection, fence, write, run.c.payload_write_id, lambda _: values)


def end_run(database: Database, fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
    """End the run, or this attempt's part of it."""
    if not transitions.allowed(Transition.END, RunStatus.RUNNING, end.status):
        ends = ", ".join(sorted(transitions.TABLE[Transition.END][RunStatus.RUNNING]))
        raise StoreRefused(f"a worker can't end its run as {end.status}; {ends} are allowed")

    def ended(now: int) -> dict[str, Any]:
        return {
            "status": end.status.value,
            "reason": word(end.reason),
            "message": free_text(end.message),
            "error": free_text(end.error),
            "end_write_id": write.write_id,
            "finished": now if end.status.terminal else None,
            **encoded_columns("result", end.result),
        }

    with database.writing() as connection:
        outcome = _write_run(database, connection, fence, write, run.c.end_write_id, ended)
        if isinstance(outcome, Stored):
            now = database.now(connection)
            events.add(connection, now, fence.run_id, end.status.value, fence.attempt, end.reason)
        return outcome


def _write_run(
    database: Database,
    connection: Connection,
    fence: Fence,
    write: Write,
    written: Column[str],
    values: Callable[[int], dict[str, Any]],
) -> WriteOutcome:
    """A guarded write to the run's own row. `written`: the column that holds the id of the last write of its kind."""
    there = still_there(StepWrite(Kind.FINISH, write.after.kind if write.after else ""))
    query = select(run, there.label("still_there")).where(run.c.id == fence.run_id)
    row = connection.execute(database.lock_row(query), _fence_parameters(fence, write)).one_or_none()
    if row is None:
        return no_such_run(fence)
    if fenced := check_fence(fence, row.attempt, row.nonce):
        return fenced
    if row._mapping[written] == write.write_id:
        return AlreadyStored(row.stop_requested)
    if row.status != RunStatus.RUNNING:
        return Stopped(RunStatus(row.status))
    if not row.still_there:
        return Rewound(missing(write))
    now = database.now(connection)
    _change_run(connection, row, now, **values(now))
    return Stored(row.stop_requested)


def _change_run(connection: Connection, row: Row[Any], now: int, **values: Any) -> None:
    """Change the locked row; its version grows."""
    connection.execute(update(run).where(run.c.id == row.id).values(version=row.version + 1, updated=now, **values))


def _fence_parameters(fence: Fence, write: Write | None) -> dict[str, Any]:
    parameters: dict[str, Any] = {"run_id": fence.run_id, "attempt": fence.attempt, "nonce": fence.nonce}
    if write and write.after:
        parameters["after_name"] = write.after.name
        parameters["after_key"] = write.after.key
        parameters["after_write_id"] = write.after.write_id
        parameters["after_sequence"] = write.after.sequence
    return parameters


def _step_parameters(
    fence: Fence, write: Write | None, name: str, key: str, ordinal: int, running_ms: int
) -> dict[str, Any]:
    parameters = _fence_parameters(fence, write)
    parameters["name"] = identifier(name, "the step's name", STEP_NAME_LENGTH)
    parameters["key"] = identifier(key, f"the key of step {name!r}", STEP_KEY_LENGTH)
    parameters["ordinal"] = ordinal
    parameters["running_ms"] = running_ms
    parameters["status"] = StepStatus.STARTED.value
    if write:
        parameters["sequence"] = write.sequence
        parameters["write_id"] = write.write_id
    return parameters


def _add_progress(parameters: dict[str, Any], shown: SavedCursor | StepActivity) -> None:
    parameters["progress_current"] = shown.progress_current
    parameters["progress_total"] = shown.progress_total
    parameters["progress_message"] = free_text(shown.progress_message)
