"""One fresh step, and a resume of 10,000, against raw durable commits of the same bytes by the plain driver.

Both are done in turn, one by one, so that a disk that is slow for a moment is slow for both.
"""

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contestants import DATABASES, RESULT, Contestants, Worker, fill, timed
from benchmarks.table import Comparison, Row, duration
from resumable.state.outcome import Begun

GOAL = 1.5
STEPS = 2000
WARM_UP = 200  # prepared statements, caches
RESUMED = 10_000


def rows(folder: Path) -> Iterator[Row]:
    """One fresh step on each database; and one read of 10,000."""
    for title, opened in DATABASES.items():
        with opened(folder) as contestants:
            yield fresh_step(title, contestants)
            yield resume(title, contestants)


def fresh_step(title: str, contestants: Contestants) -> Row:
    worker = Worker(contestants.store)
    ours, raw = [], []
    for number in range(STEPS + WARM_UP):
        name = f"step-{number}"
        pair = (timed(lambda: contestants.commit(name, RESULT)), timed(lambda: worker.step(name)))  # noqa: B023
        if number >= WARM_UP:
            raw.append(pair[0])
            ours.append(pair[1])
    return Comparison.of(ours, raw).at_most(f"one fresh step, {title}", "raw commit", GOAL)


def resume(title: str, contestants: Contestants) -> Row:
    worker = Worker(contestants.store)
    fill(contestants.store, worker.fence, RESUMED)
    seconds = [timed(worker.begin) for _ in range(7)]
    begun = worker.begin()
    assert isinstance(begun, Begun)
    assert len(begun.steps) == RESUMED
    middle = statistics.median(seconds)
    ours = f"{duration(middle)} ({duration(min(seconds))}–{duration(max(seconds))})"
    return Row(f"read of {RESUMED:,} finished steps, {title}", ours, goal="< 200 ms", met=middle < 0.2)
