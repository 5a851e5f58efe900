"""One fresh step as an author writes it, ours and DBOS Transact's, on the same database.

Ours is `j.options(key=n).step("work", work, n)`, theirs a function with `@DBOS.step()`; both in a loop, with the same
result.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.contestants import DATABASES
from benchmarks.player import Player, Stage
from benchmarks.table import Comparison, Row

GOAL = 5.0
ROUNDS = 12
PER_ROUND = 50


def rows(folder: Path) -> Iterator[Row]:
    """On SQLite and PostgreSQL: what DBOS works on."""
    for title in ("SQLite (WAL, FULL)", "PostgreSQL"):
        with DATABASES[title](folder) as contestants:
            players = [Player("dbos_step", who, contestants.url, log=folder / f"{who}.log") for who in ("ours", "dbos")]
            times: list[list[float]] = [[], []]
            for number in range(ROUNDS + 1):
                for player, series in zip(players, times, strict=True):
                    player.go(PER_ROUND)
                    told = player.told()
                    if number:  # the first round is to warm up
                        series += told
            for player in players:
                player.end()
            yield Comparison.of(*times).faster(f"one fresh step of a job, {title}", "DBOS", GOAL)


def work(n: int) -> dict[str, Any]:
    return {"rows": n, "file": "x" * 100}


def play(stage: Stage, step: Callable[[int], object]) -> None:
    """Do steps as they are asked for."""
    number = 0
    for count in stage.rounds():
        times = []
        for _ in range(count):
            number += 1
            before = time.perf_counter()
            step(number)
            times.append(time.perf_counter() - before)
        stage.tell(times)


def play_ours(url: str, stage: Stage) -> None:
    from resumable import Job, job

    @job("bench")
    def bench(j: Job) -> None:
        play(stage, lambda n: j.options(key=n).step("work", work, n))

    bench.run(store=url)


def play_dbos(url: str, stage: Stage) -> None:
    from benchmarks import dbos_contestant

    durable_work = dbos_contestant.step(work)
    bench = dbos_contestant.workflow(lambda: play(stage, durable_work))
    dbos_contestant.launch(url)
    dbos_contestant.start(bench, "bench")


if __name__ == "__main__":
    who, url, descriptor = sys.argv[1:]
    {"ours": play_ours, "dbos": play_dbos}[who](url, Stage(descriptor))
