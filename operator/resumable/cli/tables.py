"""Runs, steps and attempts as tables in a terminal."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.text import Text

from resumable.state.record import Run, RunStatus, Signal

STYLES = {
    "Succeeded": "green",
    "Running": "cyan",
    "Interrupted": "yellow",
    "Waiting": "yellow",
    "Pending": "yellow",
    "Suspended": "yellow",
    "Paused": "bold red",
    "Failed": "red",
    "Cancelled": "red",
}

HEADING = re.compile(r"(STEP|ATTEMPT) ")


def status_text(status: RunStatus | str) -> Text:
    """A status in its colour."""
    return Text(str(status), STYLES.get(str(status), ""))


def summary_text(lines: Sequence[str]) -> Text:
    """`status.summary` as it is in `kubectl describe`, with colours."""
    return _coloured(Text("\n").join(Text(line, "bold" if HEADING.match(line) else "") for line in lines))


def runs_text(runs: Iterable[Run]) -> Text:
    """One line for each run, as kubectl writes them: whole, and easy to cut apart."""
    rows = [("NAMESPACE", "NAME", "STATUS", "REASON", "ATTEMPT", "CREATED (UTC)", "UPDATED (UTC)")]
    for run in runs:
        attempt, created, updated = str(run.attempt), moment(run.created), moment(run.updated)
        rows.append((run.namespace, run.name, run.status, run.reason or "-", attempt, created, updated))
    return _table(rows)


def signals_text(signals: Iterable[Signal]) -> Text:
    """One line for each signal that the run was sent."""
    heading = ("SIGNAL", "ID", "SENDER", "SENT (UTC)", "TAKEN BY")
    rows = [(each.name, each.id, each.sender or "-", moment(each.sent), each.consumed_by or "-") for each in signals]
    return _table([heading, *rows])


def _table(rows: Sequence[tuple[str, ...]]) -> Text:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return _coloured(Text("\n").join([Text(lines[0], "bold"), *map(Text, lines[1:])]))


def _coloured(text: Text) -> Text:
    for status, style in STYLES.items():
        text.highlight_regex(rf"(?<=  ){status}(?=  |$)", style)
    return text


def moment(at: datetime | None) -> str:
    """A time as tables show it."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "-"
