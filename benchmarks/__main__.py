"""All benchmarks in one run: `python -m benchmarks [--only NAME,…] [--folder DIR]`, as `make bench` does.

Prints a line as it is measured and writes all of them, with the machine and the versions, to `benchmarks/RESULTS.md`
(not with `--only`). Take a quiet machine: the references meet the same noise, but a busy one makes all ratios noisy.
"""

import argparse
import importlib
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.table import Row, markdown, printed

BENCHMARKS = (
    "step_write",
    "dbos_step",
    "dbos_resume",
    "large_resume",
    "map_items",
    "cursor_and_size",
    "service_step",
    "group_commit",
    "startup",
)
RESULTS = Path(__file__).with_name("RESULTS.md")
PACKAGES = ("resumable-jobs", "sqlalchemy", "psycopg", "pymysql", "redis", "msgspec", "dbos")


def measured(chosen: list[str], folder: Path) -> Iterator[Row]:
    """The rows of each, in a folder of its own."""
    for name in chosen:
        own = folder / name
        own.mkdir()
        for row in importlib.import_module(f"benchmarks.{name}").rows(own):
            print("  ".join(filter(None, row.cells())), flush=True)
            yield row


def main() -> None:
    """Measure, print, write. A missed goal is no error: it is said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the databases are made: on a real disk")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(BENCHMARKS)
    if unknown := [name for name in chosen if name not in BENCHMARKS]:
        parser.error(f"--only {', '.join(unknown)}: not one of {', '.join(BENCHMARKS)}")
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as name:
        rows = list(measured(chosen, Path(name)))
    print(f"\n{printed(rows)}")
    if not options.only:
        RESULTS.write_text(results(rows, before))
        print(f"\nwritten to {RESULTS}")


def results(rows: list[Row], load: float) -> str:
    """RESULTS.md."""
    missed = [row.work for row in rows if row.met is False]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"""# Results

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Every reference was measured in the same run, in turn
with ours. Times are medians; in brackets the lowest and the highest of ten parts of the series.

{markdown(rows)}

{"Goals that were missed: " + "; ".join(missed) + "." if missed else "All goals were met."}

## Machine and versions

{_machine()}; load average when it began: {load:.1f}. Python {platform.python_version()},
SQLite {sqlite3.sqlite_version}, {_servers()}. {versions}.

DBOS Transact runs with its documented decorators and its defaults, without telemetry and conductor; its SQLite file
lies in the same folder as ours.
"""


def _machine() -> str:
    cpu = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ""
    )
    return f"{os.cpu_count()} x {cpu or platform.machine()}, {platform.system()} {platform.release()}"


def _servers() -> str:
    """The servers' own words."""
    commands = (["/usr/sbin/mariadbd", "--version"], ["redis-server", "--version"])
    found = [_said(["bash", "-c", "ls -d /usr/lib/postgresql/* | tail -1 | sed 's#.*/#PostgreSQL #'"])]
    return ", ".join(filter(None, [*found, *map(_said, commands)]))


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return " ".join(done.stdout.split()[:4])


if __name__ == "__main__":
    sys.exit(main())
