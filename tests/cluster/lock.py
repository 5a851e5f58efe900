"""Locks between processes: held by an open file, so that the kernel frees them whatever becomes of the holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from tests.cluster import paths
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say

CHANGING = "resumable-test-cluster"  # held while the cluster is started, repaired, installed into or stopped
TESTING = "resumable-test-cluster-tests"  # held by a test session: it drains nodes, and two would disturb each other


@contextmanager
def held(name: str, *, folder: Path | None = None, timeout: timedelta = timedelta(hours=1)) -> Iterator[None]:
    """Holds the lock `name`, after waiting for whoever has it.

    Raises:
        ClusterError: it was not free before `timeout`; the message names the process that has it.
    """
    path = _file(name, folder)
    deadline = time.monotonic() + timeout.total_seconds()
    with path.open("a+") as file:
        waiting = False
        while not _take(file.fileno()):
            if not waiting:
                say(f"waiting for process {_holder(path)}, which has the lock {path}")
                waiting = True
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"The lock {path} was not free within {timeout}: process {_holder(path)} has it. "
                    "Wait for that process or end it."
                )
            time.sleep(0.2)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(name: str, *, folder: Path | None = None) -> str | None:
    """The id of the process that holds the lock, or None when it is free."""
    path = _file(name, folder)
    with path.open("a+") as file:
        return None if _take(file.fileno()) else _holder(path)


def _file(name: str, folder: Path | None) -> Path:
    folder = folder or paths.LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.lock"


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> str:
    return path.read_text().strip() or "(unknown)"
