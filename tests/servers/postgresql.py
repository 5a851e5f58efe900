"""A real PostgreSQL from Debian's package, on a Unix socket and on loopback, in a folder of its own.

PostgreSQL refuses to run as root; as root its programs run as the user `postgres` that the package makes. Where the
package is missing it is installed when that is allowed (root, apt-get), else named with the command to run.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

PACKAGE = "postgresql"
USER = "resumable"
START_SECONDS = 60.0


class ServerError(Exception):
    """The server can't be started; the message says what to do."""


@dataclass(frozen=True)
class PostgreSQLServer:
    """A running server. Durable as it is installed: fsync is on."""

    folder: Path
    port: int

    def url(self, database: str = "postgres", *, tcp: bool = False) -> str:
        """By the Unix socket, or by TCP on loopback, where a connection can be cut."""
        if tcp:
            return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={self.port}"

    def new_database(self) -> str:
        """The URL of an empty database of its own."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def database(self, name: str) -> str:
        """The URL of the database of that name, made when it is first asked for."""
        with contextlib.suppress(psycopg.errors.DuplicateDatabase):
            self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        """Run one statement as the server's administrator."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgresql(**settings: str) -> Iterator[PostgreSQLServer]:
    """Start a server with these settings, and stop it (by its process id) at the end."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="resumable-pg-") as name:  # short: a socket's path has at most 107 bytes
        folder = Path(name)
        as_user = _unprivileged(folder)
        data, log = folder / "data", folder / "log"
        initdb = ["initdb", f"--pgdata={data}", f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        _run([*as_user, str(programs / initdb[0]), *initdb[1:]])
        server = PostgreSQLServer(folder, _free_port())
        options = {
            "port": str(server.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(folder),
            **settings,
        }
        arguments = [argument for key, value in options.items() for argument in ("-c", f"{key}={value}")]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*as_user, str(programs / "postgres"), "-D", str(data), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        try:
            _wait_until_it_answers(server, process, log)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nobody needs the data any more
            process.wait(30)


def _programs() -> Path:
    """The folder with `initdb` and `postgres`: Debian keeps them out of PATH."""
    if not (found := _installed()) and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "update", "-q"], environment)
        _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", PACKAGE], environment)
        found = _installed()
    if not found:
        raise ServerError(f"PostgreSQL's server is not installed. Run: sudo apt-get install {PACKAGE}")
    return found


def _installed() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    in_path = shutil.which("postgres")
    return Path(in_path).resolve().parent if in_path and shutil.which("initdb") else None


def _unprivileged(folder: Path) -> list[str]:
    """What to put before a command so that it runs as somebody else than root, and may write to `folder`."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise ServerError(
            f"PostgreSQL does not run as root, and there is no user postgres. Run: apt-get install {PACKAGE}"
        ) from None
    os.chown(folder, user.pw_uid, user.pw_gid)
    # setpriv executes the command in its own process, so that signals reach the server.
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(server: PostgreSQLServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.execute("SELECT 1")
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"PostgreSQL did not start ({error}). Its log:\n{log.read_text()[-2000:]}") from error
            time.sleep(0.05)


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(f"`{' '.join(command)}` failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
