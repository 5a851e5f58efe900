"""One fresh step: a raw commit, the store itself, and the store through the state service, side by side on one SQLite.

    python -m benchmarks.service_step [--steps 2000] [--folder DIR]

One worker, one step after the other. The three take turns in rounds, so that whatever else the machine does meets all
of them. The raw commit is what the database can't do without: one row of the size of a step's, `BEGIN IMMEDIATE`,
`synchronous=FULL`, WAL, kept connection.
"""

import argparse
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.servers.state_service import ServiceProcess

from resumable.state.outcome import Changed, Stored
from resumable.state.record import Encoded, Write, WriteRef
from resumable.state.remote import RemoteStore
from resumable.state.sql.store import SqlStore
from resumable.state.store import Beginning, Expected, FinishedStep, NewRun, Store

RESULT = Encoded("json", b'{"rows": 5397, "sha256": "%s"}' % (b"ab" * 32))
ROUND = 50


def raw_commits(path: Path) -> Callable[[], None]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE step (run TEXT, name TEXT, data BLOB, PRIMARY KEY (run, name))")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO step VALUES (?, ?, ?)", ("run", secrets.token_hex(16), RESULT.data * 2))
        connection.execute("COMMIT")

    return commit


def steps(store: Store) -> Callable[[], None]:
    run = store.create_run(NewRun(id=secrets.token_hex(16), namespace="benchmark", name="steps"))
    minted = store.mint(run.id, Expected.of(run), secrets.token_hex(16))
    assert isinstance(minted, Changed)
    fence = minted.run.fence
    store.begin(fence, Beginning(process_id=secrets.token_hex(16)))
    sequence = 0
    after: WriteRef | None = None

    def finish() -> None:
        nonlocal sequence, after
        sequence += 1
        write = Write(secrets.token_hex(16), sequence, after)
        step = FinishedStep(name="step", key=str(sequence), ordinal=sequence, result=RESULT, duration_ms=1)
        outcome = store.finish_step(fence, write, step)
        assert isinstance(outcome, Stored), outcome
        after = WriteRef("step", step.name, step.key, write.write_id, sequence)

    return finish


def measure(contenders: dict[str, Callable[[], None]], count: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        for _ in range(ROUND):
            call()
    for _ in range(count // ROUND):
        for name, call in contenders.items():
            for _ in range(ROUND):
                start = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - start) * 1000)
    return times


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--steps", type=int, default=2000)
    arguments.add_argument("--folder", type=Path, help="where the databases are made (default: a temporary folder)")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        service = ServiceProcess(f"sqlite:///{folder}/service.db", folder / "log")
        try:
            service.wait_until_ready()
            with (
                closing(SqlStore(f"sqlite:///{folder}/store.db")) as store,
                closing(RemoteStore(service.url)) as remote,
            ):
                print(remote.info().durability)
                contenders = {
                    "raw commit": raw_commits(folder / "raw.db"),
                    "step, SqlStore": steps(store),
                    "step, state service": steps(remote),
                }
                report(measure(contenders, options.steps))
        finally:
            service.kill()


def report(times: dict[str, list[float]]) -> None:
    raw = statistics.median(times["raw commit"])
    print(f"{'':22}{'median':>10}{'p99':>10}{'ratio':>8}")
    for name, measured in times.items():
        median, p99 = statistics.median(measured), statistics.quantiles(measured, n=100)[98]
        print(f"{name:22}{median:>7.3f} ms{p99:>7.3f} ms{median / raw:>7.1f}x")


if __name__ == "__main__":
    main()
