"""The controller's calls: each locks the run's row, compares, changes and adds an event, in one transaction.

A call that is sent again after a lost reply either finds its own work done (`Changed`) or is `Stale`: then the
controller reads and decides again.
"""

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from resumable.state.limits import check_size
from resumable.state.outcome import ChangeOutcome, Stale, StoreRefused
from resumable.state.record import Encoded, Run, RunStatus
from resumable.state.sql import events, views
from resumable.state.sql.database import Database
from resumable.state.sql.locked_run import (
    allows,
    attempt_row,
    change,
    changed,
    is_as_expected,
    lock,
    stale,
    status_values,
)
from resumable.state.sql.rows import encoded_columns
from resumable.state.sql.tables import (
    ID_LENGTH,
    NAME_LENGTH,
    RUN_ID_LENGTH,
    attempt,
    cursor,
    event,
    run,
    signal,
    step,
    step_try,
)
from resumable.state.sql.text import free_text, identifier, word
from resumable.state.store import AttemptEnd, Expected, NewRun
from resumable.state.transitions import Transition


def create_run(database: Database, new: NewRun) -> Run:
    """Make the record, or find the one that is there."""
    check_size(new.input, "run's input")
    with database.writing() as connection:
        now = database.now(connection)
        if database.insert_if_absent(connection, run, new_row(new, now)):
            events.add(connection, now, new.id, "Created", 0)
        found = views.read_run(connection, new.id)
        assert found is not None  # it was there or we made it, and this transaction holds its lock
        return found


def new_row(new: NewRun, now: int) -> dict[str, Any]:
    """The row of a run that nothing has happened to."""
    return {
        "id": identifier(new.id, "the run's id", RUN_ID_LENGTH),
        "namespace": identifier(new.namespace, "the run's namespace", NAME_LENGTH),
        "name": identifier(new.name, "the run's name", NAME_LENGTH),
        "status": RunStatus.PENDING.value,
        "attempt": 0,
        "generation": 1,
        "version": 1,
        "cancel_requested": False,
        "created": now,
        "updated": now,
        **dict.fromkeys(
            (
                "reason",
                "message",
                "nonce",
                "stop_requested",
                "code_version",
                "payload_write_id",
                "error",
                "end_write_id",
            ),
            "",
        ),
        **encoded_columns("input", new.input),
    }


def set_input(database: Database, run_id: str, expected: Expected, value: Encoded | None) -> ChangeOutcome:
    """Replace the input, unless an attempt is under way."""
    check_size(value, "run's input")
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        if row is None or not is_as_expected(row, expected) or RunStatus(row.status).terminal:
            return stale(connection, run_id)
        if row.status in (RunStatus.RUNNING, RunStatus.PENDING) and row.attempt > 0:
            ended = connection.execute(select(attempt.c.ended).where(attempt_row(run_id, row.attempt))).scalar_one()
            if ended is None:
                return stale(connection, run_id)
        return change(connection, row, database.now(connection), **encoded_columns("input", value))


def mint(database: Database, run_id: str, expected: Expected, nonce: str) -> ChangeOutcome:
    """Mint the next attempt. From here on every earlier fence is broken."""
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        if row is None:
            return Stale(None)
        number = expected.attempt + 1
        if (row.attempt, row.nonce) == (number, nonce):  # minted before; the reply was lost
            return changed(connection, run_id)
        if not is_as_expected(row, expected) or not allows(Transition.MINT, row, RunStatus.PENDING):
            return stale(connection, run_id)
        now = database.now(connection)
        _keep_progress(connection, run_id, row.attempt)
        values = {
            "run_id": run_id,
            "number": number,
            "nonce": identifier(nonce, "the nonce", ID_LENGTH),
            "minted": now,
            "generation": row.generation,
        }
        empty = dict.fromkeys(("pod_name", "pod_uid", "node", "process_id", "cause", "message"), "")
        connection.execute(insert(attempt).values(**values, **empty))
        events.add(connection, now, run_id, "Minted", number)
        fence = {"attempt": number, "nonce": nonce, "stop_requested": ""}
        return change(connection, row, now, status=RunStatus.PENDING.value, reason="", message="", **fence)


def bind_pod(
    database: Database, run_id: str, number: int, nonce: str, *, pod_name: str, pod_uid: str, node: str
) -> ChangeOutcome:
    """Say which pod is the attempt's."""
    if not pod_uid:
        raise StoreRefused(f"run {run_id!r}, attempt {number}: a pod is bound by its UID, which is empty here")
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        if row is None or (row.attempt, row.nonce) != (number, nonce):
            return stale(connection, run_id)
        bound = connection.execute(select(attempt.c.pod_uid, attempt.c.node).where(attempt_row(run_id, number))).one()
        if bound.pod_uid not in ("", pod_uid):
            return stale(connection, run_id)
        values = {
            "pod_name": identifier(pod_name, "the pod's name", NAME_LENGTH),
            "pod_uid": identifier(pod_uid, "the pod's UID", ID_LENGTH),
            "node": identifier(node, "the node's name", NAME_LENGTH) or bound.node,
        }
        connection.execute(update(attempt).where(attempt_row(run_id, number)).values(values))
        return changed(connection, run_id)


def request_stop(database: Database, run_id: str, number: int, reason: str) -> ChangeOutcome:
    """Raise the flag that tells the current attempt to save and leave."""
    if not reason:
        raise StoreRefused(f"run {run_id!r}: a stop is requested with a reason, which is empty here")
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        if row is None or row.attempt != number or RunStatus(row.status).terminal:
            return stale(connection, run_id)
        if row.stop_requested == word(reason):
            return changed(connection, run_id)
        now = database.now(connection)
        events.add(connection, now, run_id, "StopRequested", number, reason)
        return change(connection, row, now, stop_requested=word(reason))


def count_end(database: Database, run_id: str, end: AttemptEnd) -> ChangeOutcome:
    """Record how an attempt ended, once, and move the run on when that attempt is the current one."""
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        mine = attempt_row(run_id, end.attempt)
        counted = connection.execute(select(attempt).where(mine)).one_or_none()
        if row is None or counted is None:
            return stale(connection, run_id)
        if counted.ended is not None:
            return changed(connection, run_id)
        before = RunStatus(row.status)
        after = before
        if row.attempt == end.attempt and before in (RunStatus.PENDING, RunStatus.RUNNING) and not counted.written_end:
            after = end.to  # else the worker wrote how it ended, and that stands (or a signal has woken it since)
            if not allows(Transition.COUNT_END, row, after):
                raise StoreRefused(
                    f"run {run_id!r}: the end of attempt {end.attempt} can't take it from {before} to {after}"
                )
        now = database.now(connection)
        _keep_progress(connection, run_id, end.attempt)
        connection.execute(
            update(attempt)
            .where(mine)
            .values(
                ended=now,
                end_kind=end.kind.value,
                cause=word(end.cause),
                message=free_text(end.message),
                exit_code=end.exit_code,
                node=end.node or counted.node,
                pod_name=end.pod_name or counted.pod_name,
                pod_uid=end.pod_uid or counted.pod_uid,
            )
        )
        events.add(connection, now, run_id, "AttemptEnded", end.attempt, end.cause)
        if row.attempt != end.attempt:
            return change(connection, row, now)
        moved = {} if after is before else status_values(after, end.reason, end.message, now)
        return change(connection, row, now, stop_requested="", **moved)


def settle(
    database: Database, run_id: str, expected: Expected, to: RunStatus, *, reason: str, message: str
) -> ChangeOutcome:
    """Change the status while no pod lives."""
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        if row is None or not is_as_expected(row, expected) or not allows(Transition.SETTLE, row, to):
            return stale(connection, run_id)
        now = database.now(connection)
        events.add(connection, now, run_id, to.value, row.attempt, reason)
        return change(connection, row, now, stop_requested="", **status_values(to, reason, message, now))


def delete_run(database: Database, run_id: str) -> None:
    """Remove the run and all that is its."""
    with database.writing() as connection:
        lock(database, connection, run_id)  # first, as every writer of the run does
        remove(connection, run_id)


def remove(connection: Connection, run_id: str) -> None:
    """Remove the locked run and all that is its."""
    connection.execute(delete(run).where(run.c.id == run_id))
    for table in (attempt, step, step_try, cursor, signal, event):
        connection.execute(delete(table).where(table.c.run_id == run_id))


def _keep_progress(connection: Connection, run_id: str, number: int) -> None:
    """Write down what an attempt achieved, before later attempts overwrite the rows that tell it."""
    values = views.progress_of(connection, run_id, number)
    not_kept = attempt_row(run_id, number) & attempt.c.steps_done.is_(None)
    connection.execute(update(attempt).where(not_kept).values(values))
