"""A job that was killed after 10,000 finished steps, started again: how long until its next step runs.

Ours reads them once and goes through them in memory; DBOS Transact looks each one up as it replays. Two times for each:
*replay*, from the job's function (ours: from the read before it) to the step that was not finished, and *total*, from
the process's start, in which DBOS also waits for its recovery queue.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.contestants import DATABASES
from benchmarks.player import Player, Stage
from benchmarks.table import Row, duration
from resumable.state.open import open_store

STEPS = 10_000
REPLAY_GOAL = 100
SECONDS_GOAL = 0.2


def rows(folder: Path) -> Iterator[Row]:
    """On SQLite and PostgreSQL."""
    for title in ("SQLite (WAL, FULL)", "PostgreSQL"):
        with DATABASES[title](folder) as contestants:
            found = {who: resumed(who, contestants.url, folder) for who in ("ours", "dbos")}
            (ours, ours_total), (dbos, dbos_total) = found["ours"], found["dbos"]
            yield Row(
                f"replay of {STEPS:,} finished steps, {title}",
                duration(ours),
                f"DBOS {duration(dbos)}",
                f"{dbos / ours:.0f} x faster",
                f">= {REPLAY_GOAL} x faster, < 200 ms",
                dbos / ours >= REPLAY_GOAL and ours < SECONDS_GOAL,
            )
            yield Row(
                f"the same, from the process's start, {title}",
                duration(ours_total),
                f"DBOS {duration(dbos_total)}",
                f"{dbos_total / ours_total:.0f} x faster",
            )


def resumed(who: str, url: str, folder: Path) -> tuple[float, float]:
    """Seconds of the replay, and of all from the process's start."""
    first = Player("dbos_resume", who, "first", url, log=folder / f"{who}.log")
    first.told()  # it stands in the step after the last, and dies there
    first.end()
    second = Player("dbos_resume", who, "second", url, log=folder / f"{who}.log")
    told = second.told()
    second.end()
    return told["replay"], told["at"] - second.started


def work(n: int) -> dict[str, Any]:
    return {"rows": n, "file": "x" * 100}


class Clock:
    """When the replay began."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._began = 0.0

    def begin(self) -> None:
        self._began = self._began or time.perf_counter()

    def arrive(self, _: int) -> None:
        """The step that no earlier process has finished."""
        self._stage.tell({"replay": time.perf_counter() - self._began, "at": time.time()})
        time.sleep(3600)  # killed here


def play_ours(url: str, clock: Clock) -> None:
    from resumable import Job, job

    @job("bench")
    def bench(j: Job) -> None:
        for n in range(STEPS):
            j.options(key=n).step("work", work, n)
        j.step("next", clock.arrive, 0)

    store = open_store(url)
    begin = store.begin

    def timed_begin(*args: Any) -> Any:
        clock.begin()
        return begin(*args)

    store.begin = timed_begin  # type: ignore[method-assign]
    bench.run(store=store)


def play_dbos(url: str, clock: Clock) -> None:
    from benchmarks import dbos_contestant

    def arrive(n: int) -> None:
        clock.arrive(n)

    durable_work, durable_arrive = dbos_contestant.step(work), dbos_contestant.step(arrive)

    def bench() -> None:
        clock.begin()
        for n in range(STEPS):
            durable_work(n)
        durable_arrive(0)

    durable = dbos_contestant.workflow(bench)
    dbos_contestant.launch(url)
    if sys.argv[2] == "first":
        dbos_contestant.start(durable, "bench")
    time.sleep(3600)  # its own recovery runs the workflow in a thread


if __name__ == "__main__":
    _who, _turn, _url, _descriptor = sys.argv[1:]
    players: dict[str, Callable[[str, Clock], None]] = {"ours": play_ours, "dbos": play_dbos}
    players[_who](_url, Clock(Stage(_descriptor)))
    os._exit(0)
