"""Signals: sent by anybody who may, kept until a wait takes them.

Sender and worker race: the worker ends its attempt because it saw no signal, while one is being sent. Both lock the
run's row first. The sender raises `signal_seq` and stores the signal in one transaction; the worker's end compares the
`signal_seq` it read. So either the sender finds the run Waiting and wakes it, or the worker's end is refused. (To look
for signals in the worker's statement would not do: a statement that had to wait for the lock still sees the signals of
the moment at which it began.)
"""

import msgspec
from sqlalchemy import insert, select

from resumable.state.limits import check_size
from resumable.state.outcome import AlreadySent, NoSuchRun, RunEnded, SendOutcome, Sent
from resumable.state.record import RunStatus, Signal
from resumable.state.sql import events, rows, views
from resumable.state.sql.database import Database
from resumable.state.sql.locked_run import NOT_WAITING, allows, change, lock
from resumable.state.sql.tables import SIGNAL_ID_LENGTH, SIGNAL_RECEIVED, STEP_NAME_LENGTH, WOKEN, run, signal
from resumable.state.sql.text import free_text, identifier
from resumable.state.store import NewSignal
from resumable.state.transitions import Transition


def send_signal(database: Database, run_id: str, new: NewSignal) -> SendOutcome:
    """Store a signal once, and wake the run if it waits for one of this name."""
    check_size(new.payload, f"payload of signal {new.name!r}")
    values = {
        "run_id": run_id,
        "id": identifier(new.id, "the signal's id", SIGNAL_ID_LENGTH),
        "name": identifier(new.name, "the signal's name", STEP_NAME_LENGTH),
        "sender": free_text(new.sender),
        "consumed_by": "",
        **rows.encoded_columns("payload", new.payload),
    }
    with database.writing() as connection:
        row = lock(database, connection, run_id)
        if row is None:
            return NoSuchRun()
        there = select(signal.c.sequence).where(signal.c.run_id == run_id, signal.c.id == new.id)
        if connection.execute(there).one_or_none():
            return AlreadySent()  # also when the run has ended since: it was sent in time
        status = RunStatus(row.status)
        if status.terminal:
            return RunEnded(status)
        now, sequence = database.now(connection), row.signal_seq + 1
        connection.execute(insert(signal).values(**values, sequence=sequence, sent=now))
        events.add(connection, now, run_id, SIGNAL_RECEIVED, row.attempt, new.name)
        awaited = bool(row.wake_on) and new.name in msgspec.json.decode(row.wake_on)
        woken = (
            {"status": RunStatus.PENDING.value, "reason": SIGNAL_RECEIVED, "message": "", **NOT_WAITING}
            if awaited and allows(Transition.SIGNAL, row, RunStatus.PENDING)
            else {}
        )
        change(connection, row, now, signal_seq=sequence, **woken)
        return Sent(sequence)


def list_signals(database: Database, run_id: str) -> tuple[Signal, ...]:
    with database.reading() as connection:
        return views.read_signals(connection, run_id)


def list_woken(database: Database, limit: int) -> tuple[str, ...]:
    query = select(run.c.id).where(WOKEN, run.c.status == RunStatus.PENDING.value)
    with database.reading() as connection:
        return tuple(run_id for (run_id,) in connection.execute(query.order_by(run.c.updated.desc()).limit(limit)))
