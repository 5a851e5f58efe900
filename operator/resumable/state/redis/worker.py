"""A worker's calls. Each is refused, and changes nothing, unless its fence is the stored one and the run is running.

Each is one script, one round trip. The order in which a script judges is that of `state.sql.guard.judge`.
"""

from typing import Any

from resumable.state import transitions
from resumable.state.limits import label
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
from resumable.state.record import Encoded, Fence, RunStatus, Write
from resumable.state.redis import rows
from resumable.state.redis.connection import Server
from resumable.state.redis.keys import run_key
from resumable.state.redis.request import (
    TERMINAL,
    WORD_LENGTH,
    fenced,
    number,
    progress,
    step_identity,
    table,
)
from resumable.state.sql.guard import check_fence, missing, no_such_run
from resumable.state.sql.text import free_text, identifier, word
from resumable.state.store import Beginning, FinishedStep, RunEnd, SavedCursor, StartedStep, StepActivity
from resumable.state.transitions import Transition

CHECKPOINT_LENGTH = 4096


def begin(server: Server, fence: Fence, beginning: Beginning) -> BeginOutcome:
    """Bind the attempt to the calling process and read all that is to be resumed."""
    reply = server.run(
        "begin",
        (run_key(fence.run_id),),
        rows.request(
            **fenced(fence, None),
            process_id=beginning.process_id,
            pod_uid=beginning.pod_uid,
            code_version=free_text(beginning.code_version),
            record_version=beginning.record_version,
            transitions=table(Transition.BEGIN),
        ),
    )
    match reply:
        case [b"Begun", *read]:
            return _begun(*read)
        case [b"NotBound"]:
            return NotBound(fence.attempt)
        case [b"AnotherProcess"]:
            return Fenced(fence.attempt, f"another process has begun attempt {fence.attempt}")
        case [b"Counted"]:
            return Fenced(fence.attempt, f"attempt {fence.attempt} is over: its end is counted")
        case [b"NewerRecord", version]:
            raise StoreRefused(
                f"run {fence.run_id!r} was written by a newer version of the SDK (records of version {version}; this"
                f" one knows up to {beginning.record_version}): update resumable-jobs in the job's image"
            )
    outcome = to_outcome(fence, None, reply)
    assert isinstance(outcome, Fenced | Stopped)  # all that the script answers otherwise
    return outcome


def _begun(
    run: rows.Flat,
    attempt: bytes,
    progressed: rows.Flat,
    steps: bytes,
    cursors: bytes,
    signals: bytes,
    milliseconds: int,
    previous_code_version: bytes,
) -> Begun:
    record = rows.to_run(rows.pairs(run))
    assert record is not None  # the script read it
    now = rows.moment(milliseconds)
    kept, expired = [], []
    for step in rows.to_steps(steps):
        if step.expires is not None and step.expires <= now:
            expired.append(step)
        else:
            kept.append(step)
    return Begun(
        run=record,
        attempt=rows.to_attempt(attempt, rows.pairs(progressed)),
        steps=tuple(kept),
        cursors=rows.to_cursors(cursors),
        signals=rows.to_signals(signals),
        expired=rows.without_results(expired),
        now=now,
        previous_code_version=previous_code_version.decode(),
    )


def start_step(server: Server, fence: Fence, write: Write, step: StartedStep) -> StartOutcome:
    """Put a step's start on record before it runs. Its deadline is fixed by the first start."""
    request = rows.request(
        **fenced(fence, write),
        **step_identity(step.name, step.key, step.ordinal),
        effect=identifier(step.effect, f"the effect of step {step.name!r}", WORD_LENGTH),
        deadline=rows.milliseconds(step.deadline),
        deadline_after_ms=step.deadline_after_ms,
    )
    reply = server.run("start_step", (run_key(fence.run_id),), request)
    match reply:
        case [b"Started", now, deadline, stop_requested, signal_seq]:
            return Started(rows.moment(now), rows.maybe_moment(deadline), stop_requested.decode(), signal_seq)
    outcome = to_outcome(fence, write, reply, step.name, step.key)
    assert isinstance(outcome, AlreadyDone | Fenced | Stopped | Rewound)  # all that the script answers otherwise
    return outcome


def finish_step(server: Server, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
    """Store a step's result or its failure."""
    request = rows.request(
        **fenced(fence, write),
        **step_identity(step.name, step.key, step.ordinal),
        duration_ms=number(step.duration_ms, "the duration"),
        error=free_text(step.error),
        final=step.final or None,
        retry_after_ms=step.retry_after_ms,
        expires_after_ms=step.expires_after_ms,
        until_done=step.until_done or None,
        consumes=step.consumes,
        label=label(step.name, step.key) if step.consumes else None,
        signal_seq=step.signal_seq,
    )
    values = [request, rows.value(step.result, "result", step.name, step.key)]
    if step.payload is not None:
        values.append(rows.value(step.payload, "payload, saved with the step,", step.name, step.key))
    reply = server.run("finish_step", (run_key(fence.run_id),), *values)
    return to_outcome(fence, write, reply, step.name, step.key)


def save_cursor(server: Server, fence: Fence, write: Write, saved: SavedCursor) -> WriteOutcome:
    """Store how far a step got, and show that it runs."""
    request = rows.request(
        **fenced(fence, write),
        **step_identity(saved.name, saved.key, saved.ordinal),
        **progress(saved),
        checkpoint=identifier(saved.checkpoint, "the checkpoint's location", CHECKPOINT_LENGTH),
    )
    values = [request, rows.value(saved.value, "cursor", saved.name, saved.key)]
    if saved.payload is not None:
        values.append(rows.value(saved.payload, "payload, saved with the step,", saved.name, saved.key))
    reply = server.run("save_cursor", (run_key(fence.run_id),), *values)
    return to_outcome(fence, write, reply, saved.name, saved.key)


def forget_step(server: Server, fence: Fence, write: Write, name: str, key: str) -> WriteOutcome:
    """Remove a step and its cursor, so that it runs again. Its tries stay as history."""
    request = rows.request(**fenced(fence, write), **step_identity(name, key, 0))
    return to_outcome(fence, write, server.run("forget_step", (run_key(fence.run_id),), request), name, key)


def read_signals(server: Server, fence: Fence) -> SignalsOutcome:
    """The signals that no wait has taken, in the order they came."""
    reply = server.read("read_pending_signals", run_key(fence.run_id), rows.request(**fenced(fence, None)))
    match reply:
        case [b"Signals", signals, signal_seq, now]:
            return SignalsRead(rows.to_signals(signals), signal_seq, rows.moment(now))
    outcome = to_outcome(fence, None, reply)
    assert isinstance(outcome, Fenced | Stopped)  # all that the script answers otherwise
    return outcome


def heartbeat(server: Server, fence: Fence, activity: tuple[StepActivity, ...]) -> WriteOutcome:
    """Check the fence, and show what runs. What can't be shown (done meanwhile) is left out."""
    shown = [{**step_identity(each.name, each.key, each.ordinal), **progress(each)} for each in activity]
    request = rows.request(**fenced(fence, None), activity=shown)
    return to_outcome(fence, None, server.run("heartbeat", (run_key(fence.run_id),), request))


def save_payload(server: Server, fence: Fence, write: Write, payload: Encoded) -> WriteOutcome:
    """Store the payload that all steps share."""
    request = rows.request(**fenced(fence, write))
    reply = server.run("save_payload", (run_key(fence.run_id),), request, rows.value(payload, "payload"))
    return to_outcome(fence, write, reply)


def end_run(server: Server, fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
    """End the run, or this attempt's part of it."""
    if not transitions.allowed(Transition.END, RunStatus.RUNNING, end.status):
        ends = ", ".join(sorted(transitions.TABLE[Transition.END][RunStatus.RUNNING]))
        raise StoreRefused(f"a worker can't end its run as {end.status}; {ends} are allowed")
    request = rows.request(
        **fenced(fence, write),
        status=end.status.value,
        reason=word(end.reason),
        message=free_text(end.message),
        error=free_text(end.error),
        wake_on=list(end.wake_on) or None,
        wake_at=rows.milliseconds(end.wake_at),
        wake_after_ms=end.wake_after_ms,
        signal_seq=end.signal_seq,
        expires_after_ms=end.expires_after_ms,
        terminal=TERMINAL,
    )
    reply = server.run("end_run", (run_key(fence.run_id),), request, rows.value(end.result, "run's result"))
    return to_outcome(fence, write, reply)


def to_outcome(fence: Fence, write: Write | None, reply: Any, name: str = "", key: str = "") -> WriteOutcome:
    """A script's answer under its name."""
    match reply:
        case [b"Stored", stop_requested, signal_seq]:
            return Stored(stop_requested.decode(), signal_seq)
        case [b"AlreadyStored", stop_requested, signal_seq]:
            return AlreadyStored(stop_requested.decode(), signal_seq)
        case [b"AlreadyDone", *_]:
            return AlreadyDone(name, key)
        case [b"Fenced", attempt, nonce]:
            return check_fence(fence, attempt, nonce.decode()) or Fenced(attempt)
        case [b"Gone"]:
            return no_such_run(fence)
        case [b"Stopped", status]:
            return Stopped(RunStatus(status.decode()))
        case [b"Rewound"]:
            return Rewound(missing(write))
        case [b"SignalsChanged", signal_seq]:
            return SignalsChanged(signal_seq)
    raise AssertionError(f"a script answered {reply!r}")
