"""Runs, steps and attempts as tables in a terminal."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from resumable.state.record import Run, RunStatus

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


def status_text(status: RunStatus | str) -> Text:
    """A status in its colour."""
    return Text(str(status), STYLES.get(str(status), ""))


def summary_tables(lines: Sequence[str]) -> RenderableType:
    """`status.summary` as tables: tabs part the cells, an empty line parts the tables."""
    tables: list[RenderableType] = []
    rows: list[list[str]] = []
    for line in [*lines, ""]:
        if line:
            rows.append([cell.strip() for cell in line.split("\t")])
        elif rows:
            tables += [_table(rows), Text()]
            rows = []
    return Group(*tables[:-1])


def _table(rows: list[list[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in rows[0]:
        table.add_column(heading, no_wrap=True)
    for cells in rows[1:]:
        table.add_row(*map(status_text, cells))
    return table


def runs_table(runs: Iterable[Run]) -> Table:
    """One line for each run."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("NAMESPACE", "NAME", "STATUS", "REASON", "ATTEMPT", "CREATED (UTC)", "UPDATED (UTC)"):
        table.add_column(heading, no_wrap=True)
    for run in runs:
        cells = (run.namespace, run.name, status_text(run.status), run.reason, str(run.attempt))
        table.add_row(*cells, moment(run.created), moment(run.updated))
    return table


def moment(at: datetime | None) -> str:
    """A time as tables show it."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "-"
