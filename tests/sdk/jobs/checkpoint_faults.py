"""Trains in three epochs with a checkpoint each, killed at every operation on files and store in turn, and resumed.

Prints one JSON line a kill: what was killed, and what the next process found. `python checkpoint_faults.py FOLDER`.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resumable import Job, StepContext, job
from resumable.state.sql.store import SqlStore

EPOCHS = 3
FILES = ("model.bin", "optimizer/state.bin")


def train(step: StepContext[int]) -> int:
    found = [(step.restored / name).read_text() for name in FILES] if step.restored else []
    Path("found.json").write_text(json.dumps({"cursor": step.cursor, "files": found}))
    for epoch in range(step.cursor or 0, EPOCHS):
        with step.checkpoint(epoch + 1) as folder:
            (folder / "optimizer").mkdir()
            for name in FILES:
                (folder / name).write_text(f"epoch {epoch + 1} " * 3)
    return EPOCHS


@job("train")
def training(j: Job) -> int:
    return j.step("train", train)


class Killer:
    """Counts operations and dies at the chosen one."""

    def __init__(self, at: int, told: int) -> None:
        self._left = at
        self._told = told

    def before(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._count(f"before {name}")
            return function(*args, **kwargs)

        return counted

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._count(f"before {name}")
            answer = function(*args, **kwargs)
            self._count(f"after {name}")
            return answer

        return counted

    def _count(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            os.write(self._told, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(folder: Path, *, kill_at: int = 0) -> str:
    """Run the job in a child; returns what it was killed at, or "" when it came to its end."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        killer = Killer(kill_at, write_end)
        for name in ("fsync", "mkdir", "rmdir", "unlink", "listdir"):
            setattr(os, name, killer.before(getattr(os, name), name))
        SqlStore.save_cursor = killer.around(SqlStore.save_cursor, "save_cursor")
        SqlStore.finish_step = killer.around(SqlStore.finish_step, "finish_step")
        assert training.run(store="state.db") == EPOCHS
        os._exit(0)
    os.close(write_end)
    told = os.read(read_end, 100).decode()
    os.close(read_end)
    _, status = os.waitpid(child, 0)
    if not told and status != 0:
        raise SystemExit(f"the child ended with status {status}")
    return told


def main(root: Path) -> None:
    SqlStore(f"sqlite:///{root}/empty.db").close()  # the children find everything imported and the schema made
    for kill_at in range(1, 1000):
        folder = root / str(kill_at)
        folder.mkdir()
        shutil.copy(root / "empty.db", folder / "state.db")
        killed = in_a_process(folder, kill_at=kill_at)
        if not killed:
            return
        found = folder / "found.json"
        found.unlink(missing_ok=True)
        assert in_a_process(folder) == ""
        left = sorted(path.name for path in folder.glob("checkpoints/train/train/*"))
        print(
            json.dumps(
                {"killed": killed, "found": json.loads(found.read_text()) if found.exists() else None, "left": left}
            )
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
