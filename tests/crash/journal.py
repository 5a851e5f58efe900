"""What really happened in a case, line by line in one file: effects of the job, and calls of its store.

It lies outside everything that is under test. A line is one `write` to a file opened with O_APPEND, so a killed process
leaves whole lines, in the order in which things happened. Effects are flushed to disk, as those of a real job would be.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "JOURNAL"  # the variable that names the file
PROCESS = "JOURNAL_PROCESS"  # which process of its run this is, from 1


def effect(what: str) -> None:
    """Say that something was done. `what` begins with the step's label, as in `ship[4711]` or `import/row-7`."""
    write(effect=what, flush=True)


def effects_so_far() -> list[str]:
    """For jobs that do something else the second time."""
    return [line.effect for line in read(Path(os.environ[FILE])) if line.effect]


def write(*, flush: bool = False, **line: Any) -> None:
    """Append one line."""
    descriptor = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, (json.dumps({"process": int(os.environ[PROCESS]), **line}) + "\n").encode())
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Line:
    """An effect, a moment of a call of the store, or a fault that struck."""

    process: int
    effect: str = ""
    call: int = 0  # the how manieth call of this process, from 1
    of: str = ""  # the call's name
    moment: str = ""  # "before" | "done" | "raised"
    label: str = ""  # the step that it is about
    covers: str = ""  # "all": no effect of the step may come again; "so far": none that came before
    answer: str = ""
    turns: int = 0  # replies of the server within the call
    struck: str = ""

    @property
    def step(self) -> str:
        """The label of the step whose effect this is."""
        return self.effect.partition("/")[0]


def read(file: Path) -> list[Line]:
    """All lines, in the order in which they were written."""
    return [Line(**json.loads(text)) for text in file.read_text().splitlines()]


def calls(lines: Iterable[Line]) -> list[Line]:
    """The calls that were begun, in order."""
    return [line for line in lines if line.moment == "before"]
