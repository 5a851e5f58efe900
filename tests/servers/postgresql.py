"""A real PostgreSQL from Debian's package, on a Unix socket and on loopback, in a folder of its own.

PostgreSQL refuses to run as root; as root its programs run as the user `postgres` that the package makes. Where the
package is missing it is installed when that is allowed (root, apt-get), else named with the command to run.
"""

import contextlib
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import environ
from pathlib import Path

import psycopg

from tests.servers.process import ServerProcess, as_unprivileged, free_port, installed, run

PACKAGE = "postgresql"
USER = "resumable"


@dataclass(frozen=True)
class PostgreSQLServer:
    """A running server. Durable as it is installed: fsync is on."""

    folder: Path
    port: int
    process: ServerProcess = field(repr=False)

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
def postgresql(*, environment: dict[str, str] | None = None, **settings: str) -> Iterator[PostgreSQLServer]:
    """Start a server with these settings, and stop it (by its process id) at the end.

    `environment`: variables that it has beside ours.
    """
    programs = installed(_programs, "PostgreSQL's server", PACKAGE)
    with tempfile.TemporaryDirectory(prefix="resumable-pg-") as name:  # short: a socket's path has at most 107 bytes
        folder = Path(name)
        as_user = as_unprivileged(folder, "postgres", PACKAGE)
        data = folder / "data"
        initdb = ["initdb", f"--pgdata={data}", f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        run([*as_user, str(programs / initdb[0]), *initdb[1:]])
        port = free_port()
        options = {
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(folder),
            **settings,
        }
        arguments = [argument for key, value in options.items() for argument in ("-c", f"{key}={value}")]
        process = ServerProcess(
            "PostgreSQL",
            [*as_user, str(programs / "postgres"), "-D", str(data), *arguments],
            folder,
            environment={**environ, **(environment or {})},
            answers=lambda: server.execute("SELECT 1"),
            not_yet=psycopg.OperationalError,
        )
        server = PostgreSQLServer(folder, port, process)
        process.start()
        try:
            yield server
        finally:
            process.stop(signal.SIGQUIT)  # ends its own processes too, at once


def _programs() -> Path | None:
    """The folder with `initdb` and `postgres`: Debian keeps them out of PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    in_path = shutil.which("postgres")
    return Path(in_path).resolve().parent if in_path and shutil.which("initdb") else None
