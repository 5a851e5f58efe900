"""`status.summary`: the tables that a person reads in `kubectl describe`.

`describe` sorts keys and runs maps together, but prints a list of strings one a line; so these are lines, with their
columns aligned by spaces. Times are absolute (UTC): relative ones would be wrong a moment later, and each change of a
status is a write to the API server.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from resumable.state.record import Attempt, EndKind, RunStatus, RunView, Step, StepStatus

MAX_STEPS = 12
MAX_ATTEMPTS = 8
_NOTE_LIMIT = 80  # a line has to fit a terminal
_NAME_LIMIT = 40
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def summary_of(view: RunView) -> list[str]:
    """The lines: a table of steps, a blank line, a table of ended attempts; only what there is."""
    tables = [table for table in (_steps(view), _attempts(view.attempts)) if table]
    lines: list[str] = []
    for table in tables:
        if lines:
            lines.append("")
        lines += table
    return lines


def step_label(step: Step) -> str:
    """`name`, or `name[key]`."""
    return cut(f"{step.name}[{step.key}]" if step.key else step.name, _NAME_LIMIT)


def step_state(step: Step, view: RunView) -> str:
    """How the step stands; one that was under way when its attempt ended is Interrupted."""
    match step.status:
        case StepStatus.DONE:
            return "Succeeded"
        case StepStatus.FAILED:
            return "Failed"
    if is_wait(step, view):
        return "Waiting"
    running = view.run.status is RunStatus.RUNNING and step.attempt == view.run.attempt
    return "Running" if running else "Interrupted"


def is_wait(step: Step, view: RunView) -> bool:
    """Whether this is a wait or a sleep that has not ended: only theirs has a deadline or a signal that it is for."""
    alive = view.run.status in (RunStatus.RUNNING, RunStatus.WAITING) and step.attempt == view.run.attempt
    waits = step.deadline is not None or step.name in view.run.wake_on
    return alive and waits and step.status is StepStatus.STARTED


def step_note(step: Step, view: RunView) -> str:
    """What else is worth knowing of a step: how far it is, what its last save was, why it failed."""
    if step.status is StepStatus.FAILED:
        again = "" if step.final or step.retry_at is None else f"next try {_moment(step.retry_at)}"
        return ", ".join(filter(None, (cut(step.error, _NOTE_LIMIT - len(again)), again)))
    if step.status is StepStatus.DONE:
        return _times("interrupted", step.interruptions) if step.interruptions else ""
    if is_wait(step, view):
        signal = "for the signal" if step.name in view.run.wake_on else ""
        until = f"until {_moment(step.deadline)}" if step.deadline else ""
        return " ".join(filter(None, (signal, until)))
    position = _position(step)
    saved = f"saved {_clock(step.saved, _is_one_day(_moments(view)))}" if step.saved else ""
    return ", ".join(filter(None, (cut(f"{position} {step.progress_message}".strip(), _NOTE_LIMIT - 24), saved)))


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def duration(span: timedelta) -> str:
    """Two units at most, as kubectl writes ages: 48s, 24m, 1h1m, 3d2h."""
    seconds = max(0, round(span.total_seconds()))
    for (size, name), (smaller, smaller_name) in pairwise(_UNITS):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            return f"{whole}{name}" + (f"{rest // smaller}{smaller_name}" if rest >= smaller else "")
    return f"{seconds}s"


def _steps(view: RunView) -> list[str]:
    steps = view.steps[:MAX_STEPS]
    if not steps:
        return []
    one_day = _is_one_day(_moments(view))
    rows = [
        (
            step_label(step),
            step_state(step, view),
            str(step.tries),
            _clock(step.started, one_day),
            duration(step.finished - step.started) if step.finished and step.started else "-",
            step_note(step, view),
        )
        for step in steps
    ]
    lines = _aligned([("STEP", "STATE", "TRIES", "STARTED (UTC)", "TOOK", "NOTE"), *rows])
    hidden = view.steps_total - len(steps)
    return [*lines, f"({hidden} more, {view.steps_done} of {view.steps_total} done)"] if hidden > 0 else lines


def _attempts(attempts: Sequence[Attempt]) -> list[str]:
    ended = [attempt for attempt in attempts if attempt.ended is not None]
    shown = ended[-MAX_ATTEMPTS:]
    if not shown:
        return []
    rows = [
        (
            str(attempt.number),
            attempt.pod_name or "-",
            attempt.node or "-",
            "-" if attempt.exit_code is None else str(attempt.exit_code),
            duration(attempt.ended - attempt.begun) if attempt.ended and attempt.begun else "-",
            _lost(attempt),
            attempt.cause,
        )
        for attempt in shown
    ]
    lines = _aligned([("ATTEMPT", "POD", "NODE", "EXIT", "RAN", "LOST", "ENDED BY"), *rows])
    hidden = len(ended) - len(shown)
    return [*lines, f"({hidden} earlier)"] if hidden else lines


def _lost(attempt: Attempt) -> str:
    """The work since the last save, which the next attempt does again."""
    if attempt.begun is None or attempt.ended is None:
        return "-"
    if attempt.end_kind is EndKind.COMPLETION:
        return "0s"
    return duration(attempt.ended - (attempt.last_saved or attempt.begun))


def _position(step: Step) -> str:
    if step.progress_current is None:
        return ""
    return f"{step.progress_current:g}" + (f"/{step.progress_total:g}" if step.progress_total else "")


def _moments(view: RunView) -> Iterable[datetime]:
    for step in view.steps[:MAX_STEPS]:
        yield from filter(None, (step.started, step.saved))


def _is_one_day(moments: Iterable[datetime]) -> bool:
    return len({moment.astimezone(UTC).date() for moment in moments}) <= 1


def _clock(moment: datetime | None, one_day: bool) -> str:
    """The time; with its date where the table has more than one."""
    if moment is None:
        return "-"
    return moment.astimezone(UTC).strftime("%H:%M:%S" if one_day else "%m-%d %H:%M:%S")


def _moment(moment: datetime) -> str:
    """A moment that may be days away: with its date, as the table is read on another day than it was written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _times(what: str, number: int) -> str:
    return f"{what} {({1: 'once', 2: 'twice'}).get(number, f'{number} times')}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
