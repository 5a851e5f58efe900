"""A result of 1 MB, and cursors saved one after the other, against raw commits of the same bytes."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contestants import DATABASES, Contestants, Worker, timed
from benchmarks.table import Comparison, Row

LARGE = 1_000_000


def rows(folder: Path) -> Iterator[Row]:
    """On each database."""
    for title, opened in DATABASES.items():
        with opened(folder) as contestants:
            yield large_result(title, contestants)
            yield cursor_saves(title, contestants)


def large_result(title: str, contestants: Contestants) -> Row:
    worker = Worker(contestants.store)
    data = b'"%s"' % secrets.token_hex(LARGE // 2).encode()
    ours, raw = [], []
    for number in range(60):
        name = f"large-{number}"
        raw.append(timed(lambda: contestants.commit(name, data)))  # noqa: B023
        ours.append(timed(lambda: worker.step(name, data)))  # noqa: B023
    return Comparison.of(ours[10:], raw[10:]).at_most(f"a result of 1 MB, {title}", "raw commit")


def cursor_saves(title: str, contestants: Contestants) -> Row:
    worker = Worker(contestants.store)
    ours, raw = [], []
    for number in range(1200):
        value = b"%d" % number
        raw.append(timed(lambda: contestants.overwrite("cursor", value)))  # noqa: B023
        ours.append(timed(lambda: worker.save("import", value)))  # noqa: B023
    found = Comparison.of(ours[200:], raw[200:])
    row = found.at_most(f"a cursor saved, {title}", "raw commit")
    return Row(row.work, f"{row.ours} ({1 / found.ours:,.0f}/s)", row.reference, row.ratio)
