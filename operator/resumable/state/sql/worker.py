"""A worker's calls. Each is refused, and changes nothing, unless its fence is the stored one and the run is running.

Writes to steps go through `Database.write_step`, which does not touch the run's row. `begin`, the payload and the end
do, and lock it before anything else.
"""

from functools import partial
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, and_, or_, select, update

from resumable.state import transitions
from resumable.state.limits import check_size, label
from resumable.state.outcome import (
    AlreadyDone,
    AlreadyStored,
    BeginOutcome,
    Begun,
    Fenced,
    NotBound,
    Rewound,
    SignalsChanged,
    SignalsOutcome,
    SignalsRead,
    Started,
    StartOutcome,
    Stopped,
    Stored,
    StoreRefused,
    WriteOutcome,
)
from resumable.state.record import Encoded, Fence, RunStatus, StepStatus, Write
from resumable.state.sql import events, views
from resumable.state.sql.database import Database, GuardedStatement, Judge
from resumable.state.sql.forget import forget
from resumable.state.sql.guard import check_fence, judge, missing, no_such_run
from resumable.state.sql.rows import encoded_columns, maybe_moment, milliseconds, moment, names_column
from resumable.state.sql.step_write import Kind, StepWrite, still_there
from resumable.state.sql.tables import (
    STEP_KEY_LENGTH,
    STEP_NAME_LENGTH,
    WORD_LENGTH,
    attempt,
    run,
    step,
)
from resumable.state.sql.text import free_text, identifier, word
from resumable.state.store import Beginning, FinishedStep, RunEnd, SavedCursor, StartedStep, StepActivity
from resumable.state.transitions import Transition


def begin(database: Database, fence: Fence, beginning: Beginning) -> BeginOutcome:
    """Bind the attempt to the calling process and read all that is to be resumed."""
    with database.writing() as connection:
        row = connection.execute(database.lock_row(select(run).where(run.c.id == fence.run_id))).one_or_none()
        if row is None:
            return no_such_run(fence)
        if fenced := check_fence(fence, row.attempt, row.nonce):
            return fenced
        if row.record_version > beginning.record_version:
            raise StoreRefused(
                f"run {fence.run_id!r} was written by a newer version of the SDK (records of version"
                f" {row.record_version}; this one knows up to {beginning.record_version}): update resumable-jobs in the"
                " job's image"
            )
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
            version = free_text(beginning.code_version)
            began = {"process_id": beginning.process_id, "begun": now, "code_version": version}
            connection.execute(update(attempt).where(mine).values(began))
            _change_run(
                connection,
                row,
                now,
                status=RunStatus.RUNNING.value,
                reason="",
                message="",
                code_version=version,
                record_version=beginning.record_version,
                payload_sequence=0,  # the attempt numbers its writes anew
                wake_at=None,
                wake_on="",
                started=row.started or now,
            )
            events.add(connection, now, fence.run_id, "Begun", fence.attempt)
        return _begun(connection, fence, database.now(connection))


def _begun(connection: Connection, fence: Fence, now: int) -> Begun:
    """The resume's one read."""
    record = views.read_run(connection, fence.run_id)
    assert record is not None  # locked by the caller
    return Begun(
        run=record,
        attempt=views.read_attempts(connection, fence.run_id)[-1],
        steps=views.read_steps(connection, fence.run_id, ~views.is_expired(now)),
        cursors=views.read_cursors(connection, fence.run_id, unfinished=True),
        signals=views.read_signals(connection, fence.run_id, unconsumed=True),
        expired=views.read_steps(connection, fence.run_id, views.is_expired(now), results=False),
        now=moment(now),
        previous_code_version=_previous_code_version(connection, fence),
    )


def _previous_code_version(connection: Connection, fence: Fence) -> str:
    """Of the newest earlier attempt that left something: one that was killed at once says nothing of the record."""
    left_something = or_(attempt.c.last_saved.is_not(None), attempt.c.written_end == RunStatus.PAUSED.value)
    earlier = (attempt.c.run_id == fence.run_id) & (attempt.c.number < fence.attempt)
    query = select(attempt.c.code_version).where(earlier, left_something).order_by(attempt.c.number.desc()).limit(1)
    return connection.execute(query).scalar() or ""


def start_step(database: Database, fence: Fence, write: Write, started: StartedStep) -> StartOutcome:
    """Put a step's start on record before it runs. Its deadline is fixed by the first start."""
    parameters = _step_parameters(fence, write, started.name, started.key, started.ordinal, 0)
    parameters["error"] = ""
    parameters["effect"] = identifier(started.effect, f"the effect of step {started.name!r}", WORD_LENGTH)
    parameters["deadline_after_ms"] = started.deadline_after_ms
    parameters["deadline"] = milliseconds(started.deadline) if started.deadline else None
    judged: Judge = partial(judge, fence, write, started.name, started.key)
    shape = StepWrite(Kind.START, write.after.kind if write.after else "")
    outcome = database.write_step(shape, parameters, judged)
    if isinstance(outcome, Stored | AlreadyStored):
        with database.reading() as connection:
            row = connection.execute(select(step.c.deadline).where(_this_step(fence, started.name, started.key)))
            now, deadline = moment(database.now(connection)), maybe_moment(row.scalar())
        return Started(now, deadline, outcome.stop_requested, outcome.signal_seq)
    assert not isinstance(outcome, SignalsChanged)  # this shape of write does not ask
    return outcome


def finish_step(database: Database, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
    """Store a step's result or its failure."""
    return database.write_step(*step_write(fence, write, step))


def save_cursor(database: Database, fence: Fence, write: Write, saved: SavedCursor) -> WriteOutcome:
    """Store how far a step got, and show that it runs."""
    return database.write_step(*step_write(fence, write, saved))


def step_write(fence: Fence, write: Write, written: FinishedStep | SavedCursor) -> GuardedStatement:
    """A write to a step, made ready. Raises `StoreRefused` for one that no database takes."""
    after = write.after.kind if write.after else ""
    check_size(written.payload, "payload, saved with the step,", written.name, written.key)
    judged: Judge = partial(judge, fence, write, written.name, written.key)
    if isinstance(written, SavedCursor):
        check_size(written.value, "cursor", written.name, written.key)
        parameters = _step_parameters(fence, write, written.name, written.key, written.ordinal, written.running_ms)
        _add_progress(parameters, written)
        parameters["checkpoint"] = identifier(written.checkpoint, "the checkpoint's location", 4096)
        parameters |= encoded_columns("value", written.value)
        shape = StepWrite(Kind.SAVE, after, payload=written.payload is not None)
    else:
        check_size(written.result, "result", written.name, written.key)
        parameters = _step_parameters(fence, write, written.name, written.key, written.ordinal, written.duration_ms)
        parameters["status"] = "Failed" if written.error else "Done"
        parameters["error"] = free_text(written.error)
        parameters["result_codec"] = written.result.codec if written.result else None
        parameters["result"] = written.result.data if written.result else None
        if written.consumes or written.signal_seq is not None:
            judged = partial(judge, fence, write, written.name, written.key, signal_seq=written.signal_seq)
            parameters["signal_id"] = written.consumes
            parameters["consumed_by"] = label(written.name, written.key)
        shape = StepWrite(
            Kind.FINISH,
            after,
            detailed=_add_details(parameters, written),
            payload=written.payload is not None,
            consumes=written.consumes != "",
            compares_signals=written.signal_seq is not None,
        )
    if shape.payload:
        parameters |= encoded_columns("payload", written.payload)
    return GuardedStatement(shape, parameters, judged)


def _add_details(parameters: dict[str, Any], done: FinishedStep) -> bool:
    """What a failed step has, or one whose result is not kept for ever; whether it is one."""
    if not done.error and done.expires_after_ms is None and not done.until_done:
        return False
    failed = done.error != ""
    parameters["failures"] = int(failed)
    parameters["final"] = failed and done.final
    parameters["retry_after_ms"] = done.retry_after_ms if failed else None
    parameters["expires_after_ms"] = None if failed else done.expires_after_ms
    parameters["until_done"] = not failed and done.until_done
    return True


def forget_step(database: Database, fence: Fence, write: Write, name: str, key: str) -> WriteOutcome:
    """Remove a step and its cursor, so that it runs again. Its tries stay as history."""
    with database.writing() as connection:
        row = _lock_run(database, connection, fence, write)
        if (refused := _refusal(fence, write, row)) is not None:
            return refused
        assert row is not None
        this = _this_step(fence, name, key)
        there = connection.execute(select(step.c.attempt, step.c.sequence).where(this)).one_or_none()
        if there and (there.attempt, there.sequence) > (fence.attempt, write.sequence):
            return AlreadyStored(row.stop_requested, row.signal_seq)  # it ran again since
        forget(connection, fence.run_id, this)
        return Stored(row.stop_requested, row.signal_seq)


def read_signals(database: Database, fence: Fence) -> SignalsOutcome:
    """The signals that no wait has taken, in the order they came."""
    with database.reading() as connection:
        outcome = _seen_running(connection, fence)
        if not isinstance(outcome, Stored):
            return outcome
        unconsumed = views.read_signals(connection, fence.run_id, unconsumed=True)
        return SignalsRead(unconsumed, outcome.signal_seq, moment(database.now(connection)))


def heartbeat(database: Database, fence: Fence, activity: tuple[StepActivity, ...]) -> WriteOutcome:
    """Check the fence, and show what runs. What can't be shown (done meanwhile) is left out."""
    for shown in activity:
        parameters = _step_parameters(fence, None, shown.name, shown.key, shown.ordinal, shown.running_ms)
        _add_progress(parameters, shown)
        judged: Judge = partial(judge, fence, None, shown.name, shown.key)
        outcome = database.write_step(StepWrite(Kind.SHOW), parameters, judged)
        if not isinstance(outcome, Stored | AlreadyDone):
            return outcome
    with database.reading() as connection:
        return _seen_running(connection, fence)


def _seen_running(connection: Connection, fence: Fence) -> Stored | Fenced | Stopped:
    """Whether the fence holds, without a lock: for what changes nothing."""
    columns = (run.c.attempt, run.c.nonce, run.c.status, run.c.stop_requested, run.c.signal_seq)
    row = connection.execute(select(*columns).where(run.c.id == fence.run_id)).one_or_none()
    if row is None:
        return no_such_run(fence)
    if fenced := check_fence(fence, row.attempt, row.nonce):
        return fenced
    if row.status != RunStatus.RUNNING:
        return Stopped(RunStatus(row.status))
    return Stored(row.stop_requested, row.signal_seq)


def save_payload(database: Database, fence: Fence, write: Write, payload: Encoded) -> WriteOutcome:
    """Store the payload that all steps share, unless a later write of this attempt has."""
    check_size(payload, "payload")
    with database.writing() as connection:
        row = _lock_run(database, connection, fence, write)
        if (refused := _refusal(fence, write, row, run.c.payload_write_id)) is not None:
            return refused
        assert row is not None
        values: dict[str, Any] = {"payload_write_id": write.write_id}
        if row.payload_sequence <= write.sequence:
            values |= {"payload_sequence": write.sequence, **encoded_columns("payload", payload)}
        _change_run(connection, row, database.now(connection), **values)
        return Stored(row.stop_requested, row.signal_seq)


def end_run(database: Database, fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
    """End the run, or this attempt's part of it.

    A wait ends the attempt only while the signals are those that the worker read: one that came since has found the run
    running, and so woke nobody.
    """
    if not transitions.allowed(Transition.END, RunStatus.RUNNING, end.status):
        ends = ", ".join(sorted(transitions.TABLE[Transition.END][RunStatus.RUNNING]))
        raise StoreRefused(f"a worker can't end its run as {end.status}; {ends} are allowed")
    check_size(end.result, "run's result")
    with database.writing() as connection:
        row = _lock_run(database, connection, fence, write)
        if (refused := _refusal(fence, write, row, run.c.end_write_id)) is not None:
            return refused
        assert row is not None
        if end.signal_seq not in (None, row.signal_seq):
            return SignalsChanged(row.signal_seq)
        now = database.now(connection)
        _change_run(connection, row, now, end_write_id=write.write_id, **_end_values(end, now))
        mine = (attempt.c.run_id == fence.run_id) & (attempt.c.number == fence.attempt)
        connection.execute(update(attempt).where(mine).values(written_end=end.status.value))
        if end.status is RunStatus.SUCCEEDED:
            _drop_results_kept_until_done(connection, fence.run_id, now)
        events.add(connection, now, fence.run_id, end.status.value, fence.attempt, end.reason)
        return Stored(row.stop_requested, row.signal_seq)


def _end_values(end: RunEnd, now: int) -> dict[str, Any]:
    waits = end.status is RunStatus.WAITING
    wake_at = milliseconds(end.wake_at) if end.wake_at else None
    if end.wake_after_ms is not None:
        wake_at = now + end.wake_after_ms
    expires = None if end.expires_after_ms is None else now + end.expires_after_ms
    return {
        "status": end.status.value,
        "reason": word(end.reason),
        "message": free_text(end.message),
        "error": free_text(end.error),
        "wake_at": wake_at if waits else None,
        "wake_on": names_column(end.wake_on) if waits else "",
        "finished": now if end.status.terminal else None,
        "expires": expires if end.status.terminal else None,
        **encoded_columns("result", end.result),
    }


def _drop_results_kept_until_done(connection: Connection, run_id: str, now: int) -> None:
    """Expired, from now on: after a restart the step runs again."""
    these = (step.c.run_id == run_id) & step.c.until_done
    connection.execute(update(step).where(these).values(result_codec=None, result=None, expires=now))


def _lock_run(database: Database, connection: Connection, fence: Fence, write: Write) -> Row[Any] | None:
    """The run's row, locked before anything else is, with `still_there`."""
    there = still_there(StepWrite(Kind.FINISH, write.after.kind if write.after else ""))
    query = select(run, there.label("still_there")).where(run.c.id == fence.run_id)
    return connection.execute(database.lock_row(query), _fence_parameters(fence, write)).one_or_none()


def _refusal(
    fence: Fence, write: Write, row: Row[Any] | None, written: Column[str] | None = None
) -> WriteOutcome | None:
    """What stands against a write to the locked run. `written`: the column of the last such write's id."""
    if row is None:
        return no_such_run(fence)
    if fenced := check_fence(fence, row.attempt, row.nonce):
        return fenced
    if written is not None and row._mapping[written] == write.write_id:
        return AlreadyStored(row.stop_requested, row.signal_seq)
    if row.status != RunStatus.RUNNING:
        return Stopped(RunStatus(row.status))
    return None if row.still_there else Rewound(missing(write))


def _change_run(connection: Connection, row: Row[Any], now: int, **values: Any) -> None:
    """Change the locked row; its version grows."""
    connection.execute(update(run).where(run.c.id == row.id).values(version=row.version + 1, updated=now, **values))


def _this_step(fence: Fence, name: str, key: str) -> ColumnElement[bool]:
    return and_(step.c.run_id == fence.run_id, step.c.name == name, step.c.key == key)


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
