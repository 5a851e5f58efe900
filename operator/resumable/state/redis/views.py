"""What readers get, each from one moment of the store."""

from resumable.state.record import Cursor, Event, Run, RunView, Signal, Step, StepTry
from resumable.state.redis import rows
from resumable.state.redis.connection import Server
from resumable.state.redis.keys import run_key

_NOTHING = rows.request()


def get_run(server: Server, run_id: str) -> Run | None:
    stored = server.ask("HGETALL", run_key(run_id))
    return rows.to_run({name.decode(): each for name, each in stored.items()})


def view(server: Server, run_id: str, most_steps: int) -> RunView | None:
    """A run for deciding and showing."""
    reply = server.read("read_view", run_key(run_id), rows.request(steps=most_steps))
    if not reply:
        return None
    run, stored_attempts, progress, steps, done, total, now = reply
    record = rows.to_run(rows.pairs(run))
    assert record is not None  # the script read it
    attempts = rows.to_attempts(stored_attempts, rows.pairs(progress))
    return RunView(
        run=record,
        now=rows.moment(now),
        attempts=attempts,
        steps=rows.to_steps(steps),
        steps_done=done,
        steps_total=total,
        last_saved=max((a.last_saved for a in attempts if a.last_saved), default=None),
    )


def list_steps(server: Server, run_id: str) -> tuple[Step, ...]:
    return rows.to_steps(server.read("read_steps", run_key(run_id), _NOTHING))


def list_cursors(server: Server, run_id: str) -> tuple[Cursor, ...]:
    return rows.to_cursors(server.read("read_cursors", run_key(run_id), _NOTHING))


def list_tries(server: Server, run_id: str) -> tuple[StepTry, ...]:
    replaced, steps, attempts = server.read("read_tries", run_key(run_id), _NOTHING)
    return rows.to_tries(replaced, steps, attempts)


def list_signals(server: Server, run_id: str) -> tuple[Signal, ...]:
    return rows.to_signals(server.read("read_signals", run_key(run_id), _NOTHING))


def list_events(server: Server, run_id: str, after: int, limit: int) -> tuple[Event, ...]:
    entries = server.ask("XRANGE", f"{run_key(run_id)}:events", f"({after}-0", "+", "COUNT", limit)
    return tuple(rows.to_event(entry) for entry in entries)
