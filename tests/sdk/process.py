"""Job scripts as real processes, and the log of what they really did.

The log is a file that jobs append to, one line an effect, outside everything that the SDK stores: the judge.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
JOBS = Path(__file__).parent / "jobs"
DEADLINE = 30.0


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = DEADLINE) -> None:
    """Wait until it holds; fails with what was waited for."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.005)


class JobProcess:
    """One process of a job."""

    def __init__(self, place: "Workplace", popen: "subprocess.Popen[str]", log: Path) -> None:
        self._place = place
        self._popen = popen
        self._log = log
        self.pid = popen.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """As the kernel does."""
        self._popen.kill()
        self.exit_code()

    def running(self) -> bool:
        return self._popen.poll() is None

    def exit_code(self, *, seconds: float = DEADLINE) -> int:
        """Wait for its end."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            raise AssertionError(f"still running after {seconds:g} s; its log:\n{self.log}") from None

    @property
    def output(self) -> str:
        assert self._popen.stdout is not None
        return self._popen.stdout.read()

    def read_line(self) -> str:
        assert self._popen.stdout is not None
        return self._popen.stdout.readline()

    def wait_for_effect(self, effect: str) -> None:
        """Until it did that."""
        done = lambda: effect in self._place.effects() or not self.running()  # noqa: E731
        wait_for(done, f"effect {effect!r}; its log:\n{self.log}")
        assert effect in self._place.effects(), f"ended without effect {effect!r}; its log:\n{self.log}"


class Workplace:
    """A folder with a local store, in which job scripts are started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._effects = folder / "effects.log"
        self._effects.touch()
        self._started: list[subprocess.Popen[str]] = []

    def start(self, script: str, *arguments: str, env: Mapping[str, str] | None = None) -> JobProcess:
        """`python script.py arguments…`, in this folder."""
        log = self.folder / f"{len(self._started)}.log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RESUMABLE_")}
        with log.open("w") as stderr:
            popen = subprocess.Popen(
                [sys.executable, str(JOBS / f"{script}.py"), *arguments],
                cwd=self.folder,
                env=clean | {"PYTHONPATH": str(ROOT / "operator"), "EFFECTS": str(self._effects)} | dict(env or {}),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self._started.append(popen)
        return JobProcess(self, popen, log)

    def run(self, script: str, *arguments: str, env: Mapping[str, str] | None = None) -> JobProcess:
        """Start and wait for the end."""
        process = self.start(script, *arguments, env=env)
        process.exit_code()
        return process

    def effects(self) -> list[str]:
        """What really happened, in order."""
        return self._effects.read_text().split("\n")[:-1]

    def end(self) -> None:
        for popen in self._started:
            if popen.poll() is None:
                popen.kill()
                popen.wait()
            if popen.stdout is not None:
                popen.stdout.close()


@contextmanager
def workplace(folder: Path) -> Iterator[Workplace]:
    place = Workplace(folder)
    try:
        yield place
    finally:
        place.end()
