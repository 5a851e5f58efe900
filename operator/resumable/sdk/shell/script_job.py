"""The job that `resumable exec` runs: it starts the script, answers what that asks, and ends as it ends."""

import os
import shlex
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from resumable.sdk import codec, environment
from resumable.sdk.codec.encryption import ENCRYPTION_KEYS
from resumable.sdk.errors import Fatal, ResumableError
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.job import Job, JobDefinition, job
from resumable.sdk.shell import client
from resumable.sdk.shell.conversation import Script, how_it_ended
from resumable.sdk.shell.processes import Processes
from resumable.sdk.shell.requests import Request
from resumable.sdk.step_run import StepScope

INPUT = "RESUMABLE_INPUT"

# The attempt is this process's alone: a script that has a job of its own in it must not write under the same fence.
_OURS = (
    environment.STORE_URL,
    environment.RUN,
    environment.ATTEMPT,
    environment.NONCE,
    environment.TOKEN_FILE,
    environment.POD_UID,
    ENCRYPTION_KEYS,
)

_LONGEST_SOCKET_PATH = 100  # the kernel's limit is 107 bytes


class ScriptFailed(Exception):
    """The script ended otherwise than with 0."""

    __module__ = "builtins"  # shown to people, who need not know where it is defined


def script_job(
    name: str, version: str, command: Sequence[str], parse: Callable[[Sequence[str]], Request]
) -> JobDefinition[..., None]:
    """A script as a job. `parse` understands the arguments of its calls."""

    @job(name, version=version)
    def script(j: Job, /, **input: Any) -> None:  # noqa: ARG001 - any: the script reads it from its environment
        _run(j._scope, command, parse)

    return script


def _run(scope: StepScope, command: Sequence[str], parse: Callable[[Sequence[str]], Request]) -> None:
    interruption = scope.attempt.interruption
    processes = Processes(interruption)
    script = Script(scope, processes, parse)
    with _private_folder() as folder:
        socket_path = folder / "socket"
        with _answering(script, socket_path), processes.stopped_in_time():
            try:
                processes.start(command, _environment(scope, folder, socket_path))
            except OSError as error:
                raise ScriptFailed(f"{command[0]} can't be started: {error.strerror}") from None
            code = processes.wait()
            still_running = script.still_running()
    _judge(script, code, still_running)


def _judge(script: Script, code: int, still_running: str) -> None:
    if code == 0 and not still_running:
        return  # where it was told to leave all the same, that is raised again
    if script.attempt.interruption.stopping:
        script.attempt.interruption.safe_point()
    if code == 0:
        raise ScriptFailed(
            f"the script ended while `{still_running}` was under way; end it with `wait`, which waits for all that"
            " was started with &"
        )
    if code == ExitCode.FAILED_FOR_GOOD:
        raise script.step_failed or Fatal(f"the script ended with exit code {code}: trying again would not help")
    raise ScriptFailed(f"the script ended with {how_it_ended(code)}")


def _environment(scope: StepScope, folder: Path, socket_path: Path) -> Mapping[str, str]:
    variables = {name: value for name, value in os.environ.items() if name not in _OURS}
    stored = scope.attempt.run.input
    return variables | {
        client.SOCKET: str(socket_path),
        INPUT: codec.json_of(stored, of="the input").decode() if stored else "{}",
        "PATH": os.pathsep.join([*_light_command(folder), variables.get("PATH") or os.defpath]),
    }


def _light_command(folder: Path) -> list[str]:
    """A folder with a command `resumable` that starts several times faster than the full one, which stays the one
    where no program may be run from the folder (`noexec`).
    """
    programs = folder / "bin"
    programs.mkdir()
    file = programs / "resumable"
    file.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-S", client.__file__])} "$@"\n')
    file.chmod(0o700)
    return [str(programs)] if os.access(file, os.X_OK) else []


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only this user can enter: who can, can end steps."""
    for place in (None, "/dev/shm"):  # the second for a container whose file system is read-only
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="resumable-", dir=place))
            if len(os.fsencode(folder)) < _LONGEST_SOCKET_PATH - len("/socket"):
                break
            folder.rmdir()
    else:
        raise ResumableError(
            "there is no folder for the script's socket: mount an emptyDir at /tmp, or name a folder (with a short"
            " path) in TMPDIR"
        )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _answering(script: Script, path: Path) -> Iterator[None]:
    """Each call of the script is answered in a thread of its own."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        threading.Thread(target=_accept, args=(listener, script), name="resumable-calls", daemon=True).start()
        try:
            yield
        finally:
            with suppress(OSError):  # macOS: closing is enough there
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, script: Script) -> None:
    with suppress(OSError):  # it was closed: the script has ended
        while True:
            channel, _ = listener.accept()
            threading.Thread(target=script.answer, args=(channel,), name="resumable-call", daemon=True).start()
