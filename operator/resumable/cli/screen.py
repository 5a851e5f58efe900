"""What `resumable run` shows: a table that is redrawn in a terminal, lines where the output is a file or a pipe."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from resumable.cli.tables import status_text, summary_text
from resumable.lifecycle.decision import Notice
from resumable.local.backend import Round

PROGRESS_EVERY = timedelta(seconds=2)


class Screen(Protocol):
    """Where rounds and the worker's output are shown."""

    def say(self, text: RenderableType) -> None:
        """Print something that stays."""
        ...

    def show(self, current: Round) -> None:
        """Show how the run stands."""
        ...

    def close(self) -> None:
        """Show the last state for good."""
        ...


class LiveScreen:
    """Above what was said, below the table as it is now."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8)
        self._live.start()

    def say(self, text: RenderableType) -> None:
        """Print above the table."""
        self._live.console.print(text, soft_wrap=True)

    def show(self, current: Round) -> None:
        """Redraw the table."""
        self._live.update(standing(current))

    def close(self) -> None:
        """Leave the table as it is."""
        self._live.stop()


class PlainScreen:
    """A line for each change, no more than one every few seconds; the table at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: Round | None = None
        self._line = ""
        self._printed = 0.0

    def say(self, text: RenderableType) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)

    def show(self, current: Round) -> None:
        """Print how far it is, if it is elsewhere than before and was not said just now."""
        self._last = current
        if current.at_rest:
            return  # `close` says it
        line = headline(current).plain
        if line != self._line and time.monotonic() - self._printed >= PROGRESS_EVERY.total_seconds():
            self._console.print(line, soft_wrap=True)
            self._line, self._printed = line, time.monotonic()

    def close(self) -> None:
        """Print the table."""
        if self._last is not None:
            self._console.print(standing(self._last), soft_wrap=True)


def screen(console: Console) -> Screen:
    """The one that fits what the console writes to."""
    return LiveScreen(console) if console.is_terminal else PlainScreen(console)


def standing(current: Round) -> RenderableType:
    """The run as one picture."""
    return Group(Text(), headline(current), Text(), summary_text(current.status.get("summary") or ()), Text())


def headline(current: Round) -> Text:
    """The run in one line: "train  Running  attempt 2  train-epoch[3]  4/5 61%"."""
    if current.view is None:
        return Text("not started")
    run = current.view.run
    progress = current.status.get("progress") or {}
    parts = [Text(run.name, "bold"), status_text(run.status)]
    if run.reason and run.reason != run.status:
        parts.append(Text(f"({run.reason})"))
    parts.append(Text(f"attempt {run.attempt}"))
    parts += [Text(str(progress[key])) for key in ("currentStep", "summary", "message") if progress.get(key)]
    if current.decision.next_attempt and not run.status.terminal:
        wait = max(0.0, (current.decision.next_attempt - current.view.now).total_seconds())
        parts.append(Text(f"next attempt in {wait:.0f} s", "yellow"))
    parts += [Text(condition.message, "yellow") for condition in current.decision.conditions if condition.message]
    return Text("  ").join(parts)


def notice_text(notice: Notice) -> Text:
    """A decision's notice, as a cluster would show it as an event."""
    return Text(f"{notice.reason}: {notice.message}", "yellow" if notice.type == "Warning" else "dim")


class LogTail:
    """What a worker printed since the last look; a half line waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._rest = b""

    def lines(self, *, all_of_it: bool = False) -> list[str]:
        """The new whole lines; `all_of_it`: the worker has ended, there will be no more."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                new = file.read()
        except FileNotFoundError:
            return []
        self._position += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        if all_of_it and self._rest:
            whole, self._rest = [*whole, self._rest], b""
        return [line.decode(errors="replace") for line in whole]
