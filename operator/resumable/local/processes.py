"""Worker processes, kept as a cluster keeps pods: each has a name, a UID, and an object (a folder) that outlives it.

    pods/<namespace>/<pod>/pod.json        what was asked for: written once, before the process starts
                           lock            held by the shim and the worker for as long as either lives
                           process.json    their process ids
                           deletion.json   since when the pod is asked to leave, and its grace
                           exit.json       how it ended
    logs/<namespace>/<pod>.log             what it printed; stays when the pod is released

So a backend that is killed loses nothing: the worker goes on, and the next backend reads the folders.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from resumable.lifecycle.pod import ContainerEnd, Pod
from resumable.local import shim

START_DEADLINE = timedelta(seconds=20)


class AlreadyExists(Exception):
    """There is a pod with this name, or one is being made. Look again."""


@dataclass(frozen=True, slots=True)
class PodRequest:
    """What a new pod is to be."""

    name: str
    attempt: int
    run_id: str
    nonce_hash: str
    template_hash: str
    command: tuple[str, ...]
    environment: Mapping[str, str]  # the whole of it
    working_directory: Path


class Processes:
    """The pods of one namespace in a state directory."""

    def __init__(self, state_directory: Path, namespace: str) -> None:
        self._pods = state_directory / "pods" / namespace
        self._logs = state_directory / "logs" / namespace
        for folder in (self._pods, self._logs):
            folder.mkdir(parents=True, exist_ok=True)

    def create(self, request: PodRequest) -> Pod:
        """Start a worker. Raises `AlreadyExists`; OSError when not even a process can be made."""
        folder = self._pods / request.name
        folder.mkdir(exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not (folder / "pod.json").exists():
                    self._start(folder, lock, request)
                    return _snapshot(folder)
            raise AlreadyExists(request.name)
        finally:
            os.close(lock)  # the shim holds it now

    def _start(self, folder: Path, lock: int, request: PodRequest) -> None:
        pod = {
            "name": request.name,
            "uid": str(uuid.uuid4()),
            "attempt": request.attempt,
            "run_id": request.run_id,
            "nonce_hash": request.nonce_hash,
            "template_hash": request.template_hash,
            "created": shim.now(),
        }
        shim.publish(folder / "pod.json", pod)  # first: a process without an object would never be found again
        environment = {**request.environment, "RESUMABLE_POD_UID": str(pod["uid"]), "LOCK_FD": str(lock)}
        with self.log(request.name).open("wb") as log:
            # By its path and isolated: it must not import the package, nor what the worker's PYTHON* variables say.
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    shim.__file__,
                    str(folder),
                    str(request.working_directory),
                    *request.command,
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the backend, which then asks the worker to save
                pass_fds=[lock],
            )
        deadline = time.monotonic() + START_DEADLINE.total_seconds()
        while not (folder / "process.json").exists() and not (folder / "exit.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                break  # its snapshot says that it is lost
            time.sleep(0.002)

    def list(self, job_name: str) -> tuple[Pod, ...]:
        """The pods of a job that are not released, the oldest attempt first."""
        folders = [path.parent for path in self._pods.glob(f"{job_name}-r*/pod.json")]
        pods = [_snapshot(folder) for folder in folders if folder.name.removeprefix(f"{job_name}-r").isdigit()]
        return tuple(sorted(pods, key=lambda pod: pod.attempt))

    def delete(self, name: str, grace: timedelta) -> None:
        """Ask a worker to save and leave (SIGTERM); it is killed when the grace is over. Idempotent."""
        folder = self._pods / name
        with suppress(FileNotFoundError):
            earlier = _read(folder / "deletion.json")
            since = earlier["since"] if earlier else shim.now()
            if not (folder / "pod.json").exists():
                return
            shim.publish(folder / "deletion.json", {"since": since, "grace_seconds": grace.total_seconds()})
        process = _read(folder / "process.json")
        if process is None or not _lock_is_held(folder):
            return
        if grace <= timedelta(0):
            shim.send(os.killpg, process["worker"], signal.SIGKILL)
        elif _exists(process["shim"]):
            shim.send(os.kill, process["shim"], signal.SIGTERM)
        else:  # somebody killed the shim: nobody is left to watch over the grace
            shim.send(os.killpg, process["worker"], signal.SIGKILL)

    def release(self, name: str) -> None:
        """Forget a pod whose end is counted. Its log stays."""
        shutil.rmtree(self._pods / name, ignore_errors=True)

    def log(self, name: str) -> Path:
        """Where a worker's output goes."""
        return self._logs / f"{name}.log"

    def worker_pid(self, name: str) -> int | None:
        """The worker's process id, while it runs."""
        process = _read(self._pods / name / "process.json")
        return None if process is None or (self._pods / name / "exit.json").exists() else process["worker"]


def _snapshot(folder: Path) -> Pod:
    pod = _read(folder / "pod.json") or {}
    end = _read(folder / "exit.json")
    lost = False
    if end is None and not _lock_is_held(folder):
        end = _read(folder / "exit.json")  # it may have been written while we looked
        lost = end is None
    deletion = _read(folder / "deletion.json")
    if lost:
        phase = "Failed"
    elif end is None:
        phase = "Running"
    else:
        phase = "Succeeded" if end["exit_code"] == 0 else "Failed"
    return Pod(
        name=pod["name"],
        uid=pod["uid"],
        attempt=pod["attempt"],
        run_id=pod["run_id"],
        nonce_hash=pod["nonce_hash"],
        template_hash=pod["template_hash"],
        phase=phase,
        created=_moment(pod["created"]),
        node=os.uname().nodename,
        deleting_since=_moment(deletion["since"]) if deletion else None,
        end=_container_end(end),
        status_reason="ProcessLost" if lost else "",
        status_message="the process is gone, and so is the one that watched over it" if lost else "",
    )


def _container_end(end: dict[str, Any] | None) -> ContainerEnd | None:
    if end is None:
        return None
    return ContainerEnd(
        exit_code=end["exit_code"],
        reason=end["reason"],
        message=end.get("message", ""),
        signal=end.get("signal"),
        started=_moment(end["started"]),
        finished=_moment(end["finished"]),
    )


def _lock_is_held(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
