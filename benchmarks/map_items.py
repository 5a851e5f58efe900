"""`map` of 10,000 items, 16 at a time, against as many raw commits one after the other."""

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contestants import DATABASES, RESULT, timed
from benchmarks.player import Player, Stage
from benchmarks.table import Row, duration

ITEMS = 10_000
CONCURRENCY = 16


def rows(folder: Path) -> Iterator[Row]:
    """On SQLite and PostgreSQL."""
    for title in ("SQLite (WAL, FULL)", "PostgreSQL"):
        with DATABASES[title](folder) as contestants:
            raw = [timed(lambda: contestants.commit(f"before-{n}", RESULT)) for n in range(500)]  # noqa: B023
            player = Player("map_items", contestants.url, log=folder / "map.log")
            seconds = player.told()
            player.end()
            raw += [timed(lambda: contestants.commit(f"after-{n}", RESULT)) for n in range(500)]  # noqa: B023
            commits = statistics.median(raw) * ITEMS
            yield Row(
                f"map of {ITEMS:,} items, concurrency {CONCURRENCY}, {title}",
                f"{duration(seconds)} ({ITEMS / seconds:,.0f}/s)",
                f"raw commits {duration(commits)}",
                f"{seconds / commits:.2f} x",
            )


def work(n: int) -> dict[str, int | str]:
    return {"rows": n, "file": "x" * 100}


def play(url: str, stage: Stage) -> None:
    """The job."""
    from resumable import Job, job

    @job("map")
    def mapped(j: Job) -> int:
        before = time.perf_counter()
        done = len(j.map("work", work, range(ITEMS), concurrency=CONCURRENCY))
        stage.tell(time.perf_counter() - before)
        return done

    mapped.run(store=url)


if __name__ == "__main__":
    play(sys.argv[1], Stage(sys.argv[2]))
