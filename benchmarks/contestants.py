"""What is compared on one database: a worker's calls of the store, and the plain driver's durable commit.

The raw commit writes the same bytes into a table with the same key, with the same durability, over a kept connection.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql
from tests.servers.redis import redis_server

from resumable.state.open import open_store
from resumable.state.outcome import Begun, Changed, Stored
from resumable.state.record import RECORD_VERSION, Encoded, Fence, Write, WriteRef
from resumable.state.sql.store import SqlStore
from resumable.state.store import (
    Beginning,
    Expected,
    FinishedStep,
    GuardedWrite,
    NewRun,
    SavedCursor,
    Store,
    WritesTogether,
)

RESULT = b'{"rows": 1234, "file": "%s"}' % (b"x" * 100)
_TABLE = """CREATE TABLE raw (run_id VARCHAR(128), name VARCHAR(255), `key` VARCHAR(255), write_id VARCHAR(64),
    status VARCHAR(32), result {blob}, finished BIGINT, PRIMARY KEY (run_id, name, `key`))"""


@dataclass(frozen=True)
class Contestants:
    """One database."""

    store: Store
    url: str
    commit: Callable[[str, bytes], object]  # a raw commit: the step's name, its result
    overwrite: Callable[[str, bytes], object]  # of a row that is there


@contextmanager
def on_sqlite(folder: Path) -> Iterator[Contestants]:
    file = folder / "runs.db"
    with closing(SqlStore(f"sqlite:///{file}")) as store, closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute(_TABLE.format(blob="BLOB"))
        yield Contestants(
            store,
            f"sqlite:///{file}",
            lambda name, data: raw.execute("INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?)", _values(name, data)),
            lambda name, data: raw.execute(
                "INSERT OR REPLACE INTO raw VALUES (?, ?, ?, ?, ?, ?, ?)", _values(name, data)
            ),
        )


@contextmanager
def on_postgresql(_: Path) -> Iterator[Contestants]:
    with postgresql() as server:
        url = server.new_database()
        with closing(SqlStore(url)) as store, psycopg.connect(url, autocommit=True) as raw:
            store.migrate()
            raw.execute(_TABLE.format(blob="BYTEA").replace("`", '"'))
            insert = "INSERT INTO raw VALUES (%s, %s, %s, %s, %s, %s, %s)"
            change = """ ON CONFLICT (run_id, name, "key") DO UPDATE SET write_id = excluded.write_id,
                result = excluded.result, finished = excluded.finished"""
            yield Contestants(
                store,
                url,
                lambda name, data: raw.execute(insert, _values(name, data), prepare=True),
                lambda name, data: raw.execute(insert + change, _values(name, data), prepare=True),
            )


@contextmanager
def on_mariadb(_: Path) -> Iterator[Contestants]:
    with mariadb() as server:
        url = server.new_database()
        name = url.partition("?")[0].rpartition("/")[2]
        with (
            closing(SqlStore(url)) as store,
            closing(server.connect(name)) as connection,
            closing(connection.cursor()) as raw,
        ):
            store.migrate()
            raw.execute(_TABLE.format(blob="LONGBLOB"))
            insert, values = "INSERT INTO raw VALUES", "(%s, %s, %s, %s, %s, %s, %s)"
            yield Contestants(
                store,
                url,
                lambda name, data: raw.execute(f"{insert} {values}", _values(name, data)),
                lambda name, data: raw.execute(f"REPLACE INTO raw VALUES {values}", _values(name, data)),
            )


@contextmanager
def on_redis(_: Path) -> Iterator[Contestants]:
    """`appendfsync always`: each write is flushed before it is answered."""
    with redis_server() as server, closing(open_store(server.url())) as store, server.client as raw:

        def write(name: str, data: bytes) -> object:
            run_id, name, key, write_id, status, result, finished = _values(name, data)
            fields = {"write_id": write_id, "status": status, "result": result, "finished": finished}
            return raw.hset(f"raw:{run_id}:{name}:{key}", mapping=fields)

        assert isinstance(raw, redis.Redis)
        yield Contestants(store, server.url(), write, write)


DATABASES: dict[str, Callable[[Path], AbstractContextManager[Contestants]]] = {
    "SQLite (WAL, FULL)": on_sqlite,
    "PostgreSQL": on_postgresql,
    "MariaDB": on_mariadb,
    "Redis (appendfsync always)": on_redis,
}


def _values(name: str, data: bytes) -> tuple[str, str, str, str, str, bytes, int]:
    return ("0f0e7c1a4b5c6d7e", name, "", secrets.token_hex(16), "Done", data, time.time_ns() // 1_000_000)


class Worker:
    """A worker as the SDK is one: numbers its writes and names the last acknowledged."""

    def __init__(self, store: Store) -> None:
        self.store = store
        run = store.create_run(NewRun(id=secrets.token_hex(16), namespace="default", name="bench"))
        minted = store.mint(run.id, Expected.of(run), secrets.token_hex(16))
        assert isinstance(minted, Changed)
        self.fence: Fence = minted.run.fence
        self.process_id = secrets.token_hex(16)
        self.sequence = 0
        self.after: WriteRef | None = None
        assert isinstance(self.begin(), Begun)

    def begin(self) -> object:
        return self.store.begin(self.fence, Beginning(process_id=self.process_id, record_version=RECORD_VERSION))

    def step(self, name: str, result: bytes = RESULT) -> None:
        """Finish a fresh step."""
        write = self._write()
        step = FinishedStep(name=name, ordinal=self.sequence, result=Encoded("json", result), duration_ms=1)
        assert isinstance(self.store.finish_step(self.fence, write, step), Stored)
        self.after = WriteRef("step", name, "", write.write_id, self.sequence)

    def save(self, name: str, value: bytes) -> None:
        """Save a cursor."""
        write = self._write()
        cursor = SavedCursor(name=name, ordinal=1, value=Encoded("json", value), running_ms=1)
        assert isinstance(self.store.save_cursor(self.fence, write, cursor), Stored)
        self.after = WriteRef("cursor", name, "", write.write_id, self.sequence)

    def _write(self) -> Write:
        self.sequence += 1
        return Write(secrets.token_hex(16), self.sequence, self.after)


def fill(store: Store, fence: Fence, steps: int, name: str = "import", result: bytes = RESULT) -> None:
    """Finish many steps `name[0]`, `name[1]`, …: what is not measured here."""

    def write(n: int) -> GuardedWrite:
        step = FinishedStep(name=name, key=str(n), ordinal=n + 1, result=Encoded("json", result), duration_ms=1)
        return GuardedWrite(fence, Write(secrets.token_hex(16), n + 1), step)

    if isinstance(store, WritesTogether):
        for first in range(0, steps, 500):
            answers = store.write_together([write(n) for n in range(first, min(first + 500, steps))])
            assert all(isinstance(answer, Stored) for answer in answers)
        return
    with ThreadPoolExecutor(16) as threads:
        for answer in threads.map(lambda n: _finish(store, write(n)), range(steps)):
            assert isinstance(answer, Stored)


def _finish(store: Store, write: GuardedWrite) -> object:
    assert isinstance(write.step, FinishedStep)
    return store.finish_step(write.fence, write.write, write.step)


def timed(call: Callable[[], object]) -> float:
    """Seconds."""
    before = time.perf_counter()
    call()
    return time.perf_counter() - before
