"""The cluster's daemons: started, found again by a later run, and stopped, but never anybody else's process.

A process id alone is not enough to kill by: the kernel gives it to another process later. A record therefore holds the
process's start time as well. Every daemon also carries a mark in its environment, which its children inherit (the
containerd shims), so that processes are found even when a run was killed before it could write a record.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from tests.cluster.errors import ClusterError

_MARK = "RESUMABLE_TEST_CLUSTER"


@dataclass(frozen=True)
class Daemon:
    """A program to be kept running.

    Attributes:
        name: what the records, and a person, call it.
        argv: the command.
        log: where its output goes.
        configuration: the files that decide, beside its command, what it does.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    configuration: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Process:
    """A process that was seen: its id, and its start in clock ticks since the machine's."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this id now; None: there is none, or it is dead and waits for its parent."""
        fields = _stat(pid)
        return None if fields is None or fields[0] in "ZX" else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        return Process.of(self.pid) == self

    @property
    def frozen(self) -> bool:
        """Stopped by SIGSTOP."""
        fields = _stat(self.pid)
        return self.alive and fields is not None and fields[0] == "T"

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal; False: the process is gone."""
        if not self.alive:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


class Supervisor:
    """Keeps the records of the running daemons in a file, so that any later run can find and stop them."""

    def __init__(self, records: Path) -> None:
        self._file = records

    def find(self, name: str) -> Process | None:
        """The daemon's process, when it is alive."""
        process = self._read().get(name)
        return process if process is not None and process.alive else None

    def start(self, daemon: Daemon, env: Mapping[str, str]) -> Process:
        """Starts the daemon, or returns the one that already runs."""
        if running := self.find(daemon.name):
            return running
        daemon.log.parent.mkdir(parents=True, exist_ok=True)
        with daemon.log.open("ab") as log:
            child = subprocess.Popen(
                daemon.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**env, _MARK: str(self._file)},
                cwd="/",
                start_new_session=True,  # Ctrl-C in the terminal that started the cluster is not for its daemons
            )
        child.returncode = 0  # it shall outlive this object, without Popen's warning about that
        process = Process.of(child.pid)
        if process is None:
            raise ClusterError(f"{daemon.name} ended at once: see its log {daemon.log}")
        self._write({**self._read(), daemon.name: process})
        return process

    def stop(self, name: str, *, grace: timedelta = timedelta(seconds=5)) -> None:
        """Ends a daemon: politely, and after `grace` not."""
        process = self._read().get(name)
        if process is None:
            return
        end([process], grace=grace)
        self._write({other: record for other, record in self._read().items() if other != name})

    def names(self) -> list[str]:
        """The names of all that were started and not stopped."""
        return list(self._read())

    def strays(self) -> list[Process]:
        """Every process that carries the mark of this cluster, recorded or not."""
        mark = f"{_MARK}={self._file}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue  # it ended, or it is a kernel thread
            if mark in environment.split(b"\0") and (process := Process.of(int(entry.name))):
                found.append(process)
        return found

    def _read(self) -> dict[str, Process]:
        try:
            return {name: Process(**record) for name, record in json.loads(self._file.read_text()).items()}
        except FileNotFoundError:
            return {}

    def _write(self, records: Mapping[str, Process]) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({name: asdict(process) for name, process in records.items()}, indent=1))
        fresh.replace(self._file)


def end(processes: Iterable[Process], *, grace: timedelta) -> None:
    """Ends processes and waits until they are gone: SIGTERM, and SIGKILL for what is left after `grace`.

    Raises:
        ClusterError: a process outlives SIGKILL (it hangs in the kernel).
    """
    living = [process for process in processes if process.alive]
    for process in living:
        process.send(signal.SIGTERM)
        process.send(signal.SIGCONT)  # a frozen process gets its SIGTERM only when it goes on
    living = _until_gone(living, grace)
    for process in living:
        process.send(signal.SIGKILL)
    if left := _until_gone(living, timedelta(seconds=10)):
        raise ClusterError(f"These processes outlived SIGKILL: {', '.join(str(process.pid) for process in left)}.")


def _until_gone(processes: list[Process], limit: timedelta) -> list[Process]:
    deadline = time.monotonic() + limit.total_seconds()
    while True:
        processes = [process for process in processes if process.alive]
        if not processes or time.monotonic() > deadline:
            return processes
        time.sleep(0.02)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the command, whose name may hold anything: state first, start time 20th."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
