"""Runs one worker process and outlives whoever started it, as a containerd-shim does.

Run as a script with the standard library only: `python shim.py POD_FOLDER WORKING_DIRECTORY COMMAND…`. It inherits an
open, locked file (`LOCK_FD`) and hands it on to the worker: the pod is over exactly when nobody holds that lock any
more, however each of them died. The exit code lands in `exit.json`, so that a backend that was away does not lose it.

SIGTERM: pass it on to the worker (to it alone, as a kubelet does), and kill its whole process group when the grace in
`deletion.json` is over.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

START_FAILED = 128  # what a container runtime answers when the command can't be started


def main(folder: Path, working_directory: str, command: list[str]) -> None:
    """Start the worker, wait for it, say how it ended."""
    lock_fd = int(os.environ.pop("LOCK_FD"))
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: terminated.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    started = now()
    try:
        worker = subprocess.Popen(
            command,
            cwd=working_directory,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a process group of its own: children can be killed with it, the shim is spared
            pass_fds=[lock_fd],
        )
    except OSError as error:
        reason = {"exit_code": START_FAILED, "reason": "StartError", "message": str(error)}
        publish(folder / "exit.json", {**reason, "started": started, "finished": now()})
        return
    publish(folder / "process.json", {"shim": os.getpid(), "worker": worker.pid})
    ended, unreaped = threading.Event(), threading.Lock()
    threading.Thread(target=end_on_request, args=(folder, worker.pid, terminated, ended, unreaped), daemon=True).start()

    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # not reaped yet: its number can't be another's
    with unreaped:
        ended.set()
    send(os.killpg, worker.pid, signal.SIGKILL)  # children that it left behind
    code = worker.wait()
    killed_by = -code if code < 0 else None
    publish(
        folder / "exit.json",
        {
            "exit_code": code if killed_by is None else 128 + killed_by,
            "signal": killed_by,
            "reason": "Completed" if code == 0 else "Error",
            "started": started,
            "finished": now(),
        },
    )


def end_on_request(
    folder: Path, worker: int, terminated: threading.Event, ended: threading.Event, unreaped: threading.Lock
) -> None:
    """Wait for SIGTERM, pass it on, and lose patience when the grace is over."""
    terminated.wait()
    with unreaped:
        if not ended.is_set():
            send(os.kill, worker, signal.SIGTERM)
    try:
        grace_seconds = float(json.loads((folder / "deletion.json").read_text())["grace_seconds"])
    except (OSError, ValueError, KeyError):
        grace_seconds = 30.0  # nobody deleted the pod: the signal was sent by hand
    if not ended.wait(grace_seconds):
        with unreaped:
            if not ended.is_set():
                send(os.killpg, worker, signal.SIGKILL)


def send(how: Callable[[int, int], None], number: int, what: signal.Signals) -> None:
    """Send a signal to a process or to a group; nobody being left is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
        how(number, what)


def publish(path: Path, content: dict[str, object]) -> None:
    """Write a file so that a reader sees it whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


def now() -> str:
    """The moment, in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
