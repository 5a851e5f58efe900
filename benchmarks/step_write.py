"""One fresh step against one raw durable commit of the same bytes; and a resume of 10,000 finished steps.

    python -m benchmarks.step_write [--steps 1000] [--only sqlite|postgresql]

The raw commit is the plain driver's: one INSERT of the same values into a table with the same key, autocommit, the same
durability. Both are done in turn, so that a disk that is slow for a moment is slow for both. Goals: at most 1.5 times
the raw commit; resume under 0.2 s.
"""

import argparse
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from tests.servers.postgresql import postgresql

from resumable.state.outcome import Begun, Changed, Stored
from resumable.state.record import Encoded, Fence, Write, WriteRef
from resumable.state.sql.store import SqlStore
from resumable.state.store import Beginning, Expected, FinishedStep, NewRun

RESULT = Encoded("json", b'{"rows": 1234, "file": "%s"}' % (b"x" * 100))
RAW_TABLE = """CREATE TABLE raw (run_id VARCHAR(128), name VARCHAR(255), key VARCHAR(255), write_id VARCHAR(64),
    status VARCHAR(32), result {blob}, finished BIGINT, PRIMARY KEY (run_id, name, key))"""


@dataclass(frozen=True)
class Contestants:
    store: SqlStore
    raw_commit: Callable[[str, str], object]  # run id, step name


@contextmanager
def sqlite() -> Iterator[Contestants]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        file = f"{folder}/runs.db"
        with closing(SqlStore(f"sqlite:///{file}")) as store:
            raw = sqlite3.connect(file, isolation_level=None)
            raw.execute("PRAGMA synchronous=FULL")
            raw.execute(RAW_TABLE.format(blob="BLOB"))
            insert = "INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?)"
            yield Contestants(store, lambda run, name: raw.execute(insert, raw_values(run, name)))
            raw.close()


@contextmanager
def on_postgresql() -> Iterator[Contestants]:
    with postgresql() as server:
        url = server.new_database()
        with closing(SqlStore(url)) as store, psycopg.connect(url, autocommit=True) as raw:
            store.migrate()
            raw.execute(RAW_TABLE.format(blob="BYTEA"))
            insert = "INSERT INTO raw VALUES (%s, %s, %s, %s, %s, %s, %s)"
            yield Contestants(store, lambda run, name: raw.execute(insert, raw_values(run, name), prepare=True))


def raw_values(run: str, name: str) -> tuple[object, ...]:
    return (run, name, "", secrets.token_hex(16), "Done", RESULT.data, time.time_ns() // 1_000_000)


class Worker:
    """A worker as the SDK is one: numbers its writes and names the last acknowledged."""

    def __init__(self, store: SqlStore) -> None:
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
        return self.store.begin(self.fence, Beginning(process_id=self.process_id))

    def step(self, name: str) -> None:
        self.sequence += 1
        write = Write(secrets.token_hex(16), self.sequence, self.after)
        step = FinishedStep(name=name, ordinal=self.sequence, result=RESULT, duration_ms=1)
        assert isinstance(self.store.finish_step(self.fence, write, step), Stored)
        self.after = WriteRef("step", name, "", write.write_id, self.sequence)


def timed(call: Callable[[], object]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def measure(title: str, contestants: Contestants, steps: int) -> None:
    worker = Worker(contestants.store)
    run = worker.fence.run_id
    ours, raw = [], []
    for number in range(steps + 100):
        name = f"step-{number}"
        pair = (timed(lambda: contestants.raw_commit(run, name)), timed(lambda: worker.step(name)))  # noqa: B023
        if number >= 100:  # after warming up: prepared statements, caches
            raw.append(pair[0])
            ours.append(pair[1])
    ratio = statistics.median(ours) / statistics.median(raw)
    mean_ratio = statistics.fmean(ours) / statistics.fmean(raw)
    print(
        f"{title:<12} raw commit {statistics.median(raw) * 1e6:6.0f} µs"
        f"   fresh step {statistics.median(ours) * 1e6:6.0f} µs"
        f"   {ratio:.2f} x (median)   {mean_ratio:.2f} x (mean)   goal 1.50 x"
    )


def measure_resume(title: str, contestants: Contestants) -> None:
    worker = Worker(contestants.store)
    fill(contestants.store, worker.fence, 10_000)
    seconds = statistics.median(timed(worker.begin) for _ in range(5))
    begun = worker.begin()
    assert isinstance(begun, Begun)
    assert len(begun.steps) == 10_000
    print(f"{title:<12} resume of 10,000 finished steps {seconds * 1e3:6.1f} ms   goal 200 ms")


def fill(store: SqlStore, fence: Fence, steps: int) -> None:
    """Finish many steps at once: not what is measured here."""
    from sqlalchemy import insert

    from resumable.state.sql.tables import step

    rows = [
        {
            "run_id": fence.run_id,
            "name": "import",
            "key": f"row-{number}",
            "ordinal": number,
            "status": "Done",
            "attempt": 1,
            "sequence": number,
            "write_id": secrets.token_hex(16),
            "tries": 1,
            "interruptions": 0,
            "result_codec": RESULT.codec,
            "result": RESULT.data,
            "error": "",
            "started": 1_800_000_000_000,
            "finished": 1_800_000_000_001,
            "progress_message": "",
        }
        for number in range(steps)
    ]
    with store.database.writing() as connection:
        connection.execute(insert(step), rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, default=1000)
    arguments.add_argument("--only", choices=["sqlite", "postgresql"])
    given = arguments.parse_args()
    for title, opened in (("sqlite", sqlite), ("postgresql", on_postgresql)):
        if given.only in (None, title):
            with opened() as contestants:
                measure(title, contestants, given.steps)
                measure_resume(title, contestants)


if __name__ == "__main__":
    main()
