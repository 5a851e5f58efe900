"""A job that meets one fault at each call of its store in turn: killed before it or after it, its reply lost, SIGTERM.

Prints one JSON line a fault: the exit codes until the run was done, its result, and what really ran.
`python crash_points.py FOLDER`.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from effects import effect

import resumable.sdk.command_line
import resumable.sdk.main  # noqa: F401 - once, not in each child
from resumable import Job, StepContext, job
from resumable.state.outcome import StoreUnavailable
from resumable.state.sql.store import SqlStore

CALLS = ("begin", "finish_step", "save_cursor", "save_payload", "end_run")
FAULTS = ("killed before", "killed after", "reply lost", "SIGTERM")
CURSORS = 3


def count(step: StepContext[int], job_: Job) -> int:
    for n in step.iterate(range(step.cursor or 0, CURSORS), cursor=lambda n: n + 1, every=1):
        effect(f"turn {n}")
        job_.payload["turn"] = n
    return step.cursor or 0


@job("crash-points")
def crash_points(j: Job) -> str:
    j.step("first", effect, "first")
    counted = j.step("count", count, j)
    j.options(key=counted).step("last", effect, "last")
    return f"counted to {counted}, {j.payload['turn']}"


class Fault:
    """Counts the store's calls and acts at the chosen one."""

    def __init__(self, kind: str, at: int, told: int) -> None:
        self._kind = kind
        self._left = at
        self._told = told

    def install(self) -> None:
        for name in CALLS:
            setattr(SqlStore, name, self._around(name, getattr(SqlStore, name)))

    def _around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left != 0:
                return call(*args, **kwargs)
            os.write(self._told, name.encode())
            if self._kind == "killed before":
                os.kill(os.getpid(), signal.SIGKILL)
            if self._kind == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.05)  # the watchdog's turn; how far it gets changes what is tested, not what must hold
            answer = call(*args, **kwargs)
            if self._kind == "killed after":
                os.kill(os.getpid(), signal.SIGKILL)
            if self._kind == "reply lost":
                raise StoreUnavailable("connection lost")
            return answer

        return faulty


def in_a_process(folder: Path, fault: Callable[[int], Fault] | None) -> tuple[int, str, str]:
    """Run the job as `main()` does. Returns its exit code (negative: a signal), the faulty call, and its output."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(os.open("out", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 1)
        os.environ["EFFECTS"] = "effects.log"
        if fault is not None:
            fault(write_end).install()
        crash_points.main(["--store", "state.db"])
    os.close(write_end)
    _, status = os.waitpid(child, 0)
    told = os.read(read_end, 100).decode()
    os.close(read_end)
    return os.waitstatus_to_exitcode(status), told, (folder / "out").read_text().strip()


def main(root: Path) -> None:
    SqlStore(f"sqlite:///{root}/empty.db").close()  # the children find everything imported and the schema made
    for kind in FAULTS:
        for at in range(1, 100):
            folder = root / f"{kind} {at}"
            folder.mkdir()
            shutil.copy(root / "empty.db", folder / "state.db")
            (folder / "effects.log").touch()
            code, call, result = in_a_process(folder, lambda told, kind=kind, at=at: Fault(kind, at, told))  # type: ignore[misc]
            if not call:
                break
            codes = [code]
            while codes[-1] != 0 and len(codes) < 4:
                code, _, result = in_a_process(folder, None)
                codes.append(code)
            effects = (folder / "effects.log").read_text().split("\n")[:-1]
            line = {"fault": kind, "call": call, "codes": codes, "result": result, "effects": effects}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
