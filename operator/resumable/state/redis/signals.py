"""Signals: sent by anybody who may, kept until a wait takes them.

Sender and worker race: the worker ends its attempt because it saw no signal, while one is being sent. Each is one
script, and the worker's compares the `signal_seq` that it read: either the sender finds the run Waiting and wakes it,
or the worker's end is refused.
"""

from resumable.state.outcome import AlreadySent, NoSuchRun, RunEnded, SendOutcome, Sent
from resumable.state.record import RunStatus
from resumable.state.redis import register, rows
from resumable.state.redis.connection import Server
from resumable.state.redis.keys import run_key
from resumable.state.redis.request import SIGNAL_ID_LENGTH, STEP_NAME_LENGTH, TERMINAL, table
from resumable.state.sql.text import free_text, identifier
from resumable.state.store import NewSignal
from resumable.state.transitions import Transition


def send_signal(server: Server, run_id: str, new: NewSignal) -> SendOutcome:
    """Store a signal once, and wake the run if it waits for one of this name."""
    payload = rows.value(new.payload, f"payload of signal {new.name!r}")
    request = rows.request(
        id=identifier(new.id, "the signal's id", SIGNAL_ID_LENGTH),
        name=identifier(new.name, "the signal's name", STEP_NAME_LENGTH),
        sender=free_text(new.sender),
        transitions=table(Transition.SIGNAL),
        terminal=TERMINAL,
    )
    register.note_woken(server, run_id)  # before it is: a run that is woken and on no list would sleep on
    match server.run("send_signal", (run_key(run_id),), request, payload):
        case [b"Sent", signal_seq]:
            return Sent(signal_seq)
        case [b"AlreadySent"]:
            return AlreadySent()
        case [b"RunEnded", status]:
            return RunEnded(RunStatus(status.decode()))
        case [b"NoSuchRun"]:
            return NoSuchRun()
        case reply:
            raise AssertionError(f"a script answered {reply!r}")
