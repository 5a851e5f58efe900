"""Import CSV files row by row into a database, then aggregate. Killed at any moment it goes on: no row twice.

Each file is a step. Inside it, `step.iterate` saves how many rows are in the database, after `flush` has written them.
A worker that is killed between the two writes a few rows again, and the upsert on `(file, row)` makes the second time
change nothing.

The files are those that the package vega_datasets ships (airports, weather, stock prices): nothing is downloaded.
"""

import csv
import functools
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from resumable import Job, StepContext, job

metadata = sa.MetaData()


def imported(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """A table of imported rows; where a row came from is its identity."""
    file = sa.Column("file", sa.String(200), primary_key=True)
    row = sa.Column("row", sa.Integer, primary_key=True, autoincrement=False)
    return sa.Table(name, metadata, file, row, *columns)


def text(name: str) -> sa.Column[Any]:
    """A column of text."""
    return sa.Column(name, sa.String(200))


def number(name: str) -> sa.Column[Any]:
    """A column of numbers."""
    return sa.Column(name, sa.Double)


airports = imported(
    "airports", *map(text, ["iata", "name", "city", "state", "country"]), *map(number, ["latitude", "longitude"])
)
weather = imported(
    "weather", text("date"), *map(number, ["precipitation", "temp_max", "temp_min", "wind"]), text("weather")
)
stocks = imported("stocks", text("symbol"), text("date"), number("price"))

TABLES = {"airports.csv": airports, "seattle-weather.csv": weather, "stocks.csv": stocks}


@dataclass(frozen=True)
class Report:
    """The job's result: how many rows each file has in the database, and where the report is."""

    rows: dict[str, int]
    report: str


@job("import", version="1")
def import_csv(
    j: Job,
    files: tuple[str, ...] = tuple(TABLES),
    database: str | None = None,
    batch_size: int = 50,
    seconds_per_row: float = 0.0,
) -> Report:
    """Import `files` into `database` (any SQLAlchemy URL of SQLite or PostgreSQL; unset: a file on the volume)."""
    if unknown := sorted(set(files) - set(TABLES)):
        raise ValueError(f"files: {unknown} can't be imported; known are {sorted(TABLES)}")
    url = database or f"sqlite:///{volume() / 'import.db'}"
    j.step("create-tables", create_tables, url)
    for file in files:
        j.options(key=file).step("import-file", import_file, url, file, batch_size, seconds_per_row)
    totals = j.step("aggregate", aggregate, url)
    report = j.step("write-report", write_report, totals)
    return Report(rows=totals["rows"], report=report)


def create_tables(url: str) -> None:
    """Make the tables that are not there yet."""
    metadata.create_all(engine_of(url))
    log_effect("tables-created")


def import_file(step: StepContext[int], url: str, file: str, batch_size: int, seconds_per_row: float) -> int:
    """Import what is not imported yet; the cursor is the number of the last row that is in the database."""
    batch: list[dict[str, Any]] = []

    def write_batch() -> None:
        if batch:
            upsert(url, TABLES[file], batch)
            log_effect("rows-written", file=file, first=batch[0]["row"], last=batch[-1]["row"])
            batch.clear()

    total = count_rows(file)
    unread = read_rows(file, after=step.cursor or 0)
    for row in step.iterate(unread, cursor=row_number, every=(batch_size, "5s"), flush=write_batch):
        batch.append(row)
        step.progress(row["row"], total)
        if seconds_per_row:
            time.sleep(seconds_per_row)
    log_effect("file-finished", file=file)
    return total


def row_number(row: dict[str, Any]) -> int:
    """Where in its file a row is; the first is 1."""
    return int(row["row"])


def read_rows(file: str, *, after: int) -> Iterator[dict[str, Any]]:
    """The rows after the given number, with their values in the types of the table's columns."""
    types: dict[str, Callable[[str], Any]] = {
        column.name: float if isinstance(column.type, sa.Double) else str for column in TABLES[file].columns
    }
    with (source_folder() / file).open(newline="", encoding="utf-8") as lines:
        for n, values in enumerate(csv.DictReader(lines), start=1):
            if n > after:
                yield {"file": file, "row": n, **{name: types[name](value) for name, value in values.items()}}


def count_rows(file: str) -> int:
    """How many rows the file has."""
    with (source_folder() / file).open(newline="", encoding="utf-8") as lines:
        return sum(1 for _ in csv.DictReader(lines))


def source_folder() -> Path:
    """Where vega_datasets keeps its files; found without importing it, which would import pandas."""
    spec = importlib.util.find_spec("vega_datasets")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(
            "the files come from the package vega_datasets, which is not installed: pip install vega_datasets"
        )
    return Path(spec.submodule_search_locations[0]) / "_data"


def upsert(url: str, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Write the rows in one transaction; those that are there already stay one."""
    engine = engine_of(url)
    insert = (postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert)(table)
    values = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    with engine.begin() as connection:
        connection.execute(insert.on_conflict_do_update(index_elements=["file", "row"], set_=values), rows)


def aggregate(url: str) -> dict[str, Any]:
    """What the rows say; ordered, so that equal databases give equal reports."""
    by_state = sa.select(airports.c.state, sa.func.count()).group_by(airports.c.state)
    kind, symbol = weather.c.weather, stocks.c.symbol
    by_kind = sa.select(kind, sa.func.count(), sa.func.max(weather.c.temp_max)).group_by(kind)
    by_symbol = sa.select(symbol, sa.func.min(stocks.c.price), sa.func.max(stocks.c.price)).group_by(symbol)
    with engine_of(url).connect() as connection:
        rows = {
            file: connection.scalar(sa.select(sa.func.count()).where(table.c.file == file).select_from(table))
            for file, table in TABLES.items()
        }
        totals = {
            "rows": rows,
            "airports_by_state": dict(sorted(connection.execute(by_state))),
            "days_and_highest_temperature_by_weather": {
                kind: [days, highest] for kind, days, highest in sorted(connection.execute(by_kind))
            },
            "lowest_and_highest_price": {
                symbol: [low, high] for symbol, low, high in sorted(connection.execute(by_symbol))
            },
        }
    log_effect("aggregated")
    return totals


def write_report(totals: dict[str, Any]) -> str:
    """Write `report.json` on the volume, whole or not at all."""
    report = volume() / "report.json"
    temporary = report.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(totals, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(report)
    log_effect("report-written")
    return str(report)


@functools.cache
def engine_of(url: str) -> sa.Engine:
    """One engine for each database."""
    engine = sa.create_engine(url)
    if engine.dialect.name not in ("sqlite", "postgresql"):
        raise ValueError(f"database: {engine.dialect.name} is not supported; use a URL of sqlite or postgresql")
    return engine


def volume() -> Path:
    """A folder that outlives the pod."""
    folder = Path(os.environ.get("RESUMABLE_CHECKPOINT_DIR", ".resumable"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_effect(effect: str, **details: object) -> None:
    """Append a line to the file `EFFECT_LOG`, when it is set: what really ran, whatever our own records say."""
    if path := os.environ.get("EFFECT_LOG"):
        attempt = int(os.environ.get("RESUMABLE_ATTEMPT", "0"))
        line = json.dumps({"effect": effect, "attempt": attempt, "pid": os.getpid(), **details}) + "\n"
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(log, line.encode())
        finally:
            os.close(log)


if __name__ == "__main__":
    import_csv.main()
