"""The tests' side of a zygote."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.crash.zygote import Order

ROOT = Path(__file__).parents[2]
_CHILD_SECONDS = 60.0


class Launcher:
    """Starts job processes, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "zygote.log"
        with self._log.open("wb") as log:
            self._zygote = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.zygote"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}"},
            )

    def run(self, order: Order) -> int:
        """Start a process and wait for its end; its exit code, negative for a signal."""
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(msgspec.json.encode(order) + b"\n")
        pid = self._answer(_CHILD_SECONDS)
        assert pid is not None, f"the zygote does not fork: {self._log.read_text()}"
        code = self._answer(_CHILD_SECONDS)
        if code is not None:
            return code
        os.kill(pid, signal.SIGKILL)
        self._answer(_CHILD_SECONDS)
        raise AssertionError(f"{order.subject} still ran after {_CHILD_SECONDS:g} s; its folder: {order.folder}")

    def _answer(self, seconds: float) -> int | None:
        assert self._zygote.stdout is not None
        if not select.select([self._zygote.stdout], [], [], seconds)[0]:
            return None
        line = self._zygote.stdout.readline()
        assert line, f"the zygote died: {self._log.read_text()}"
        return int(line)

    def close(self) -> None:
        """End the zygote."""
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait(_CHILD_SECONDS)
