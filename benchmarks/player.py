"""A program that does what is measured in a process of its own, and tells on a pipe how long it took.

Two of them, ours and another project's, are told in turn to go on, so that both meet the same moments of the machine
and neither's threads run in the other's process.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Player:
    """The parent's side of `python -m benchmarks.MODULE ROLE ARGUMENTS…`."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        read_end, write_end = os.pipe()
        self.started = time.time()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"benchmarks.{module}", *arguments, str(write_end)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[write_end],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}"},
            )
        os.close(write_end)
        self._told = os.fdopen(read_end)
        self._log = log

    def go(self, count: int = 0) -> None:
        """Let it do so many more."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % count)
        self._process.stdin.flush()

    def told(self) -> Any:
        """The next thing that it tells."""
        line = self._told.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} told nothing more; its log:\n{self._log.read_text()[-3000:]}")
        return json.loads(line)

    def end(self) -> None:
        """It has done its part."""
        self._process.kill()
        self._process.wait()
        self._told.close()


class Stage:
    """The player's side."""

    def __init__(self, descriptor: str) -> None:
        self._pipe = os.fdopen(int(descriptor), "w")

    def tell(self, what: Any) -> None:
        self._pipe.write(json.dumps(what) + "\n")
        self._pipe.flush()

    def rounds(self) -> Iterator[int]:
        """How many to do, again and again."""
        for line in sys.stdin:
            yield int(line)
