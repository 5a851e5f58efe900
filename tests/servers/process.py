"""A server of the tests as a process: on a free port, as an unprivileged user, stopped by its id."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

START_SECONDS = 60.0
STOP_SECONDS = 30.0

T = TypeVar("T")


class ServerError(Exception):
    """The server can't be started; the message says what to do."""


class ServerProcess:
    """One server that can be stopped and started again where it was.

    `answers` asks it something; `not_yet` are the errors that mean that it does not answer yet.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        answers: Callable[[], object],
        not_yet: type[Exception] | tuple[type[Exception], ...],
        environment: dict[str, str] | None = None,
    ) -> None:
        self._name = name
        self._command = list(command)
        self._folder = folder
        self._answers = answers
        self._not_yet = not_yet
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the server printed, over all its starts."""
        return self._folder / "log"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self._name} was not started"
        return self._process.pid

    def start(self, *more: str) -> None:
        """Start it, with `more` arguments this time, and wait until it answers. Raises ServerError with its log."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._command, *more],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._environment,
            )
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal and wait for its end. By default at once: nobody needs the data any more."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(STOP_SECONDS)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._answers()
                return
            except self._not_yet as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServerError(
                        f"{self._name} did not start ({error}). Its log:\n{self.log.read_text()[-2000:]}"
                    ) from error
                time.sleep(0.05)


def installed(find: Callable[[], T | None], server: str, package: str) -> T:
    """What `find` finds; Debian's `package` is installed first where it is missing and that is allowed (root).

    Raises ServerError with the command to run.
    """
    if (found := find()) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-q"], environment)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", package], environment)
        found = find()
    if found is None:
        raise ServerError(f"{server} is not installed. Run: sudo apt-get install {package}")
    return found


def as_unprivileged(folder: Path, user: str, package: str) -> list[str]:
    """What to put before a command so that it runs as `user` (which `package` makes), not as root.

    Gives `folder` to that user. [] when we are not root.
    """
    if os.geteuid() != 0:
        return []
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise ServerError(
            f"this does not run as root, and there is no user {user}. Run: apt-get install {package}"
        ) from None
    os.chown(folder, account.pw_uid, account.pw_gid)
    # setpriv executes the command in its own process, so that signals reach the server.
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--"]


def free_port() -> int:
    """A port on loopback that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a command to its end. Raises ServerError with what it printed."""
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(f"`{' '.join(command)}` failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
