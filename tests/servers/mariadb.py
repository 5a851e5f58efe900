"""A real MariaDB from Debian's package, on a Unix socket and on loopback, in a folder of its own.

As root its programs run as the user `mysql` that the package makes. Where the package is missing it is installed when
that is allowed (root, apt-get), else named with the command to run.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any

import pymysql

from tests.servers.process import ServerProcess, as_unprivileged, free_port, installed, run

PACKAGE = "mariadb-server"
USER = "resumable"


@dataclass(frozen=True)
class MariaDBServer:
    """A running server. Durable as it is installed: each commit is flushed."""

    folder: Path
    port: int
    process: ServerProcess = field(repr=False)

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
def mariadb(*, environment: dict[str, str] | None = None, **settings: str) -> Iterator[MariaDBServer]:
    """Start a server with these settings, and stop it (by its process id) at the end.

    `environment`: variables that it has beside ours.
    """
    install, program = installed(_programs, "MariaDB's server", PACKAGE)
    with tempfile.TemporaryDirectory(prefix="resumable-my-") as name:  # short: a socket's path has at most 107 bytes
        folder = Path(name)
        as_user = as_unprivileged(folder, "mysql", PACKAGE)
        data = folder / "data"
        run([*as_user, install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"])
        first = folder / "first.sql"
        accounts = [f"'{USER}'@'{host}'" for host in ("localhost", "127.0.0.1")]
        statements = [
            f"CREATE USER IF NOT EXISTS {who}; GRANT ALL ON *.* TO {who} WITH GRANT OPTION;" for who in accounts
        ]
        first.write_text("\n".join(statements).replace("; ", ";\n") + "\n")
        first.chmod(0o644)
        port = free_port()
        options = {
            "datadir": str(data),
            "port": str(port),
            "bind-address": "127.0.0.1",
            "socket": str(folder / "socket"),
            "pid-file": str(folder / "pid"),
            "init-file": str(first),
            "skip-name-resolve": "1",
            "innodb-buffer-pool-size": "64M",
            **settings,
        }
        arguments = [f"--{key}={value}" for key, value in options.items()]
        process = ServerProcess(
            "MariaDB",
            [*as_user, program, "--no-defaults", *arguments],
            folder,
            environment={**environ, **(environment or {})},
            answers=lambda: server.execute("SELECT 1"),
            not_yet=pymysql.Error,
        )
        server = MariaDBServer(folder, port, process)
        process.start()
        try:
            yield server
        finally:
            process.stop()


def _programs() -> tuple[str, str] | None:
    """The paths of `mariadb-install-db` and `mariadbd`."""
    path = f"{environ.get('PATH', '')}:/usr/sbin"
    install, program = (shutil.which(name, path=path) for name in ("mariadb-install-db", "mariadbd"))
    return (install, program) if install and program else None
