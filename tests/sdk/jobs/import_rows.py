"""Imports numbered rows into a database of its own, in batches, then sums them up."""

import sqlite3
import time
from contextlib import closing

from effects import effect

from resumable import Job, StepContext, job

DATABASE = "target.db"


def create_table() -> None:
    effect("create-table")
    with closing(sqlite3.connect(DATABASE)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, text TEXT)")


def import_rows(step: StepContext[int], rows: int, pause: float) -> int:
    batch: list[tuple[int, str]] = []

    def flush() -> None:
        with closing(sqlite3.connect(DATABASE)) as database, database:
            database.executemany("INSERT OR REPLACE INTO row VALUES (?, ?)", batch)
        for number, _ in batch:
            effect(f"row {number}")
        batch.clear()

    source = range(step.cursor or 0, rows)
    for number in step.iterate(source, cursor=lambda n: n + 1, every=(10, "1s"), flush=flush):
        batch.append((number, f"row {number}"))
        time.sleep(pause)
    return rows


def total() -> int:
    effect("total")
    with closing(sqlite3.connect(DATABASE)) as database:
        return int(database.execute("SELECT sum(id) FROM row").fetchone()[0])


@job("import-rows", version="1")
def import_job(j: Job, rows: int = 100, pause: float = 0.002) -> int:
    """Import rows, a batch at a time."""
    j.step("create-table", create_table)
    j.step("import", import_rows, rows, pause)
    return j.step("total", total)


if __name__ == "__main__":
    import_job.main()
