"""A job is killed twice in front of your eyes, goes on, and loses nothing: `make demo`.

Runs examples/import/job.yaml with the local backend (processes in place of pods), and kills its worker in the middle:
once with SIGKILL, which nobody can handle, and once with SIGTERM, as a drained node does. At the end the database and a
log of what really ran are compared with the files. Exit code 1 when anything is missing or was done twice.
"""

import csv
import importlib.util
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from resumable.cli.screen import Screen, screen
from resumable.cli.watch import watch
from resumable.local.backend import LocalBackend, Round
from resumable.local.manifest import load_manifest
from resumable.local.state_directory import StateDirectory
from resumable.state.open import open_store

MANIFEST = Path(__file__).parent / "import" / "job.yaml"
FILES = {"airports.csv": "airports", "seattle-weather.csv": "weather", "stocks.csv": "stocks"}

# The share of the rows after which the worker is killed, how, and what to say about it.
KILLS = (
    (0.35, signal.SIGKILL, "kill -9: no handler, no goodbye. What it wrote since its last saved cursor is done again."),
    (
        0.70,
        signal.SIGTERM,
        "SIGTERM, as from a drained node: it saves where it is, and leaves. Nothing is done again.",
    ),
)


def main() -> int:
    """Run the demo; 0 when the promise was kept."""
    console = Console(highlight=False)
    console.print(
        Text.assemble(("Resumable Jobs. ", "bold"), "5,397 rows of three CSV files go into a database, a file a step. ")
        + Text("The worker is killed twice on the way.")
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="resumable-demo-") as folder:
        os.environ["EFFECT_LOG"] = str(Path(folder) / "effects.jsonl")
        directory = StateDirectory(Path(folder))
        manifest = load_manifest(MANIFEST, ["input.seconds_per_row=0.003", "backoff.initialSeconds=1"])
        console.print(Text(f"$ resumable run {os.path.relpath(MANIFEST)}", "bold"))
        store = open_store(directory.store_url)
        with directory.lock(manifest.job):
            backend = LocalBackend(manifest, directory, store)
            display = screen(console)
            end = watch(backend, display, after_round=Killer(backend, display, Path(os.environ["EFFECT_LOG"])))
        store.close()
        if end is None or end.view is None or end.view.run.status != "Succeeded":
            console.print("The demo was stopped before its end." if end else "Stopped.")
            return 1
        return report(console, end, directory, time.monotonic() - began)


class Killer:
    """Kills the worker when the effect log says that it is time."""

    def __init__(self, backend: LocalBackend, display: Screen, effect_log: Path) -> None:
        self._backend, self._display, self._effect_log = backend, display, effect_log
        self._left = list(KILLS)
        self._total = sum(map(rows_in, FILES))

    def __call__(self, current: Round) -> None:
        """Look once."""
        if not self._left or not current.pods:
            return
        share, number, why = self._left[0]
        pod = current.pods[-1].name
        pid = self._backend.processes.worker_pid(pod)
        effects = read_effects(self._effect_log)
        begun = any(effect["pid"] == pid and effect["effect"] == "rows-written" for effect in effects)
        if pid is None or not begun or len(rows_written(effects)) < share * self._total:
            return
        self._left.pop(0)
        self._display.say(Text(f"\n>>> kill -{number.name[3:]} {pid} ({pod})", "bold red"))
        self._display.say(Text(f"    {why}\n", "red"))
        os.kill(pid, number)


def report(console: Console, end: Round, directory: StateDirectory, seconds: float) -> int:
    """Compare what is there with what should be."""
    assert end.view is not None
    effects = read_effects(Path(os.environ["EFFECT_LOG"]))
    writes = rows_written(effects)
    finished = Counter(finished_step(effect) for effect in effects if finished_step(effect))
    twice = sum(count - 1 for count in finished.values()) + late_writes(effects)
    [database] = directory.path.glob("volumes/*/*/import.db")
    stored = rows_stored(database)
    expected = {file: rows_in(file) for file in FILES}
    attempts = [f"{attempt.number} {attempt.cause}" for attempt in end.view.attempts]

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("attempts", ", ".join(attempts))
    table.add_row("finished steps that ran again", f"{twice}")
    table.add_row("rows in the database", f"{sum(stored.values()):,} of {sum(expected.values()):,}, each once")
    again = writes.total() - len(writes)
    table.add_row("rows that were upserted again", f"{again}")
    table.add_row("took", f"{seconds:.0f} s")
    console.print(Text("What was saved", "bold"), table, sep="\n")

    kept = stored == expected and set(writes) == {(file, n) for file in FILES for n in range(1, expected[file] + 1)}
    if kept and twice == 0 and len(end.view.attempts) == len(KILLS) + 1:
        console.print(Text("Killed twice, nothing lost, nothing done twice.", "bold green"))
        return 0
    said = f"The promise was not kept: expected {expected}, found {stored}, {twice} steps ran again."
    console.print(Text(said, "bold red"))
    return 1


def read_effects(path: Path) -> list[dict[str, Any]]:
    """What really ran, in order, as the job itself noted it outside of the record."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def rows_written(effects: list[dict[str, Any]]) -> "Counter[tuple[str, int]]":
    """How often each row was written."""
    return Counter(
        (effect["file"], row)
        for effect in effects
        if effect["effect"] == "rows-written"
        for row in range(effect["first"], effect["last"] + 1)
    )


def finished_step(effect: dict[str, Any]) -> str:
    """The step that this effect ended; "" for those in the middle of one."""
    return "" if effect["effect"] == "rows-written" else f"{effect['effect']} {effect.get('file', '')}"


def late_writes(effects: list[dict[str, Any]]) -> int:
    """Rows written by a step that had finished before."""
    done: set[str] = set()
    late = 0
    for effect in effects:
        if effect["effect"] == "file-finished":
            done.add(effect["file"])
        late += effect["effect"] == "rows-written" and effect["file"] in done
    return late


def rows_in(file: str) -> int:
    """How many rows the CSV file has."""
    package = importlib.util.find_spec("vega_datasets")
    assert package is not None
    assert package.submodule_search_locations
    with (Path(package.submodule_search_locations[0]) / "_data" / file).open(newline="", encoding="utf-8") as lines:
        return sum(1 for _ in csv.DictReader(lines))


def rows_stored(database: Path) -> dict[str, int]:
    """How many rows of each file the database has."""
    connection = sqlite3.connect(database)
    try:
        return {
            file: connection.execute(f"SELECT count(*) FROM {table} WHERE file = ?", (file,)).fetchone()[0]
            for file, table in FILES.items()
        }
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
