"""A real MariaDB from Debian's package, on a Unix socket and on loopback, in a folder of its own.

As root its programs run as the user `mysql` that the package makes. Where the package is missing it is installed when
that is allowed (root, apt-get), else named with the command to run.
"""

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
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

PACKAGE = "mariadb-server"
USER = "resumable"
START_SECONDS = 60.0


class ServerError(Exception):
    """The server can't be started; the message says what to do."""


@dataclass(frozen=True)
class MariaDBServer:
    """A running server. Durable as it is installed: each commit is flushed."""

    folder: Path
    port: int

    def url(self, database: str, *, port: int = 0) -> str:
        """By the Unix socket, or by TCP on loopback through `port`, where a connection can be cut."""
        if port:
            return f"mysql://{USER}@127.0.0.1:{port}/{database}"
        return f"mariadb://{USER}@localhost/{database}?unix_socket={self.folder}/socket"

    def new_database(self) -> str:
        """The URL of an empty database of its own."""
        return self.database(f"test_{secrets.token_hex(6)}")

    def database(self, name: str) -> str:
        """The URL of the database of that name, made when it is first asked for.

        Its default collation ignores case, as a server's usually does: the store must not depend on it.
        """
        self.execute(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        return self.url(name)

    def connect(self, database: str | None = None, user: str = USER) -> "pymysql.Connection[Any]":
        """A connection of the driver, in autocommit."""
        return pymysql.connect(
            unix_socket=f"{self.folder}/socket", user=user, database=database, autocommit=True, connect_timeout=10
        )

    def execute(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        """Run one statement as the tests' user, who may do everything."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())


@contextmanager
def mariadb(**settings: str) -> Iterator[MariaDBServer]:
    """Start a server with these settings, and stop it (by its process id) at the end."""
    install, program = _programs()
    with tempfile.TemporaryDirectory(prefix="resumable-my-") as name:  # short: a socket's path has at most 107 bytes
        folder = Path(name)
        as_user = _unprivileged(folder)
        data, log = folder / "data", folder / "log"
        _run([*as_user, install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"])
        first = folder / "first.sql"
        accounts = [f"'{USER}'@'{host}'" for host in ("localhost", "127.0.0.1")]
        statements = [f"CREATE USER {who}; GRANT ALL ON *.* TO {who} WITH GRANT OPTION;" for who in accounts]
        first.write_text("\n".join(statements).replace("; ", ";\n") + "\n")
        first.chmod(0o644)
        server = MariaDBServer(folder, _free_port())
        options = {
            "datadir": str(data),
            "port": str(server.port),
            "bind-address": "127.0.0.1",
            "socket": str(folder / "socket"),
            "pid-file": str(folder / "pid"),
            "init-file": str(first),
            "skip-name-resolve": "1",
            "innodb-buffer-pool-size": "64M",
            **settings,
        }
        arguments = [f"--{key}={value}" for key, value in options.items()]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*as_user, program, "--no-defaults", *arguments], stdout=output, stderr=subprocess.STDOUT, cwd=folder
            )
        try:
            _wait_until_it_answers(server, process, log)
            yield server
        finally:
            process.send_signal(signal.SIGKILL)  # at once: nobody needs the data any more
            process.wait(30)


def _programs() -> tuple[str, str]:
    """The paths of `mariadb-install-db` and `mariadbd`."""
    if not (found := _installed()) and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "update", "-q"], environment)
        _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", PACKAGE], environment)
        found = _installed()
    if not found:
        raise ServerError(f"MariaDB's server is not installed. Run: sudo apt-get install {PACKAGE}")
    return found


def _installed() -> tuple[str, str] | None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    install, program = (shutil.which(name, path=path) for name in ("mariadb-install-db", "mariadbd"))
    return (install, program) if install and program else None


def _unprivileged(folder: Path) -> list[str]:
    """What to put before a command so that it runs as somebody else than root, and may write to `folder`."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("mysql")
    except KeyError:
        raise ServerError(
            f"MariaDB does not run as root, and there is no user mysql. Run: apt-get install {PACKAGE}"
        ) from None
    os.chown(folder, user.pw_uid, user.pw_gid)
    # setpriv executes the command in its own process, so that signals reach the server.
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(server: MariaDBServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.execute("SELECT 1")
            return
        except pymysql.Error as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"MariaDB did not start ({error}). Its log:\n{log.read_text()[-2000:]}") from error
            time.sleep(0.05)


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(f"`{' '.join(command)}` failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
