"""One fresh step through the state service, over HTTP on loopback, beside the store itself and a raw commit.

One worker, one step after the other. The three take turns in rounds, so that whatever else the machine does meets all
of them.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.servers.state_service import ServiceProcess

from benchmarks.contestants import RESULT, Worker, on_sqlite, timed
from benchmarks.table import Comparison, Row
from resumable.state.remote import RemoteStore

ROUNDS = 40
PER_ROUND = 50


def rows(folder: Path) -> Iterator[Row]:
    """On SQLite, which the service keeps by default."""
    service = ServiceProcess(f"sqlite:///{folder}/service.db", folder / "service.log")
    try:
        service.wait_until_ready()
        with on_sqlite(folder) as contestants, closing(RemoteStore(service.url)) as remote:
            direct, through = Worker(contestants.store), Worker(remote)
            times: dict[str, list[float]] = {"raw": [], "direct": [], "service": []}
            for number in range(ROUNDS + 1):
                names = [f"step-{number}-{n}" for n in range(PER_ROUND)]
                measured = {
                    "raw": [timed(lambda: contestants.commit(name, RESULT)) for name in names],  # noqa: B023
                    "direct": [timed(lambda: direct.step(name)) for name in names],  # noqa: B023
                    "service": [timed(lambda: through.step(name)) for name in names],  # noqa: B023
                }
                if number:
                    for who, series in measured.items():
                        times[who] += series
        work = "one fresh step through the state service on SQLite"
        yield Comparison.of(times["service"], times["raw"]).at_most(work, "raw commit")
        yield Comparison.of(times["service"], times["direct"]).at_most(work, "the store itself")
    finally:
        service.kill()
