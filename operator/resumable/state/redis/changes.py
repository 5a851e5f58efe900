"""The controller's calls: each is one script that compares, changes and adds an event.

A call that is sent again after a lost reply either finds its own work done (`Changed`) or is `Stale`: then the
controller reads and decides again.
"""

from typing import Any

from resumable.state.outcome import Changed, ChangeOutcome, Stale, StoreRefused
from resumable.state.record import COMPENSATE, ON_FAILURE, Encoded, Run, RunStatus
from resumable.state.redis import register, rows
from resumable.state.redis.connection import Server
from resumable.state.redis.keys import run_key
from resumable.state.redis.request import (
    ID_LENGTH,
    MOST_NAMED,
    NAME_LENGTH,
    RUN_ID_LENGTH,
    TERMINAL,
    no_such_step,
    reference,
    table,
)
from resumable.state.sql.text import free_text, identifier, word
from resumable.state.store import AttemptEnd, Expected, NewRun, RestartRequest
from resumable.state.transitions import Transition


def create_run(server: Server, new: NewRun) -> Run:
    """Make the record, or find the one that is there."""
    request = rows.request(
        id=identifier(new.id, "the run's id", RUN_ID_LENGTH),
        namespace=identifier(new.namespace, "the run's namespace", NAME_LENGTH),
        name=identifier(new.name, "the run's name", NAME_LENGTH),
    )
    value = rows.value(new.input, "run's input")
    with register.listed(server, new.id, new.namespace):
        found = rows.to_run(rows.pairs(server.run("create_run", (run_key(new.id),), request, value)))
    assert found is not None  # it was there, or the script made it
    return found


def set_input(server: Server, run_id: str, expected: Expected, value: Encoded | None) -> ChangeOutcome:
    """Replace the input, unless an attempt is under way."""
    return _change(
        server, "set_input", run_id, rows.value(value, "run's input"), expected=_expected(expected), terminal=TERMINAL
    )


def mint(server: Server, run_id: str, expected: Expected, nonce: str) -> ChangeOutcome:
    """Mint the next attempt. From here on every earlier fence is broken."""
    nonce = identifier(nonce, "the nonce", ID_LENGTH)
    return _change(
        server, "mint", run_id, expected=_expected(expected), nonce=nonce, transitions=table(Transition.MINT)
    )


def bind_pod(
    server: Server, run_id: str, number: int, nonce: str, *, pod_name: str, pod_uid: str, node: str
) -> ChangeOutcome:
    """Say which pod is the attempt's."""
    if not pod_uid:
        raise StoreRefused(f"run {run_id!r}, attempt {number}: a pod is bound by its UID, which is empty here")
    return _change(
        server,
        "bind_pod",
        run_id,
        attempt=number,
        nonce=nonce,
        pod_name=identifier(pod_name, "the pod's name", NAME_LENGTH),
        pod_uid=identifier(pod_uid, "the pod's UID", ID_LENGTH),
        node=identifier(node, "the node's name", NAME_LENGTH),
    )


def request_stop(server: Server, run_id: str, number: int, reason: str) -> ChangeOutcome:
    """Raise the flag that tells the current attempt to save and leave."""
    if not reason:
        raise StoreRefused(f"run {run_id!r}: a stop is requested with a reason, which is empty here")
    return _change(server, "request_stop", run_id, attempt=number, reason=word(reason), terminal=TERMINAL)


def count_end(server: Server, run_id: str, end: AttemptEnd) -> ChangeOutcome:
    """Record how an attempt ended, once, and move the run on when that attempt is the current one."""
    request = rows.request(
        attempt=end.attempt,
        kind=end.kind.value,
        cause=word(end.cause),
        message=free_text(end.message),
        exit_code=end.exit_code,
        node=end.node,
        pod_name=end.pod_name,
        pod_uid=end.pod_uid,
        to=end.to.value,
        reason=word(end.reason),
        transitions=table(Transition.COUNT_END),
        terminal=TERMINAL,
    )
    reply = server.run("count_end", (run_key(run_id),), request)
    if reply[0] == b"Refused":
        before = reply[1].decode()
        raise StoreRefused(f"run {run_id!r}: the end of attempt {end.attempt} can't take it from {before} to {end.to}")
    return to_change(reply)


def settle(
    server: Server, run_id: str, expected: Expected, to: RunStatus, *, reason: str, message: str
) -> ChangeOutcome:
    """Change the status while no pod lives."""
    return _change(
        server,
        "settle",
        run_id,
        expected=_expected(expected),
        to=to.value,
        reason=word(reason),
        message=free_text(message),
        transitions=table(Transition.SETTLE),
        terminal=TERMINAL,
    )


def restart(server: Server, run_id: str, expected: Expected, asked: RestartRequest) -> ChangeOutcome:
    """Forget what is to run again and make the run Pending; only while no process of it can live."""
    restart_id = identifier(asked.request_id, "the request's id", RUN_ID_LENGTH)
    if not restart_id:
        raise StoreRefused(f"run {run_id!r}: a restart carries the id of its request, which is empty here")
    request = rows.request(
        expected=_expected(expected),
        restart_id=restart_id,
        from_step=reference(asked.from_step),
        forget=[reference(ref) for ref in asked.forget],
        compensate=COMPENSATE,
        on_failure=ON_FAILURE,
        most_named=MOST_NAMED,
        transitions=table(Transition.RESTART),
        terminal=TERMINAL,
    )
    register.note_woken(server, run_id)
    reply = server.run("restart", (run_key(run_id),), request)
    if reply[0] == b"NoStep":
        raise no_such_step(run_id, asked.from_step, reply[1])
    return to_change(reply)


def delete_run(server: Server, run_id: str) -> None:
    """Remove the run and all that is its."""
    namespace = server.run("delete_run", (run_key(run_id),), rows.request())
    register.unlist(server, run_id, None if namespace is None else namespace.decode())


def _change(server: Server, script: str, run_id: str, *values: bytes, **request: Any) -> ChangeOutcome:
    return to_change(server.run(script, (run_key(run_id),), rows.request(**request), *values))


def to_change(reply: Any) -> ChangeOutcome:
    """A script's answer under its name."""
    run = rows.to_run(rows.pairs(reply[1]))
    if reply[0] == b"Stale":
        return Stale(run)
    assert reply[0] == b"Changed"
    assert run is not None
    return Changed(run)


def _expected(expected: Expected) -> dict[str, Any]:
    return {"attempt": expected.attempt, "status": expected.status.value, "version": expected.version}
