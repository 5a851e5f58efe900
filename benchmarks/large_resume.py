"""A resume of 100,000 finished steps: time and memory of the process."""

import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.contestants import DATABASES, fill
from benchmarks.player import Player, Stage
from benchmarks.table import Row, duration
from resumable.state.open import open_store
from resumable.state.outcome import Begun, Changed
from resumable.state.record import RECORD_VERSION
from resumable.state.store import Beginning, Expected, NewRun

STEPS = 100_000


def rows(folder: Path) -> Iterator[Row]:
    """On SQLite and PostgreSQL."""
    for title in ("SQLite (WAL, FULL)", "PostgreSQL"):
        with DATABASES[title](folder) as contestants:
            store = contestants.store
            run = store.create_run(NewRun(id="large", namespace="local", name="large"))
            minted = store.mint(run.id, Expected.of(run), secrets.token_hex(16))
            assert isinstance(minted, Changed)
            beginning = Beginning(process_id=secrets.token_hex(16), record_version=RECORD_VERSION)
            assert isinstance(store.begin(minted.run.fence, beginning), Begun)
            fill(store, minted.run.fence, STEPS, "work", b"12345")
            player = Player("large_resume", contestants.url, log=folder / "large.log")
            told = player.told()
            player.end()
            yield Row(
                f"resume of {STEPS:,} finished steps, {title}",
                f"read {duration(told['read'])}, replay {duration(told['replay'])}, {told['mebibytes']:.0f} MiB more",
            )


def work(n: int) -> int:
    return n


def play(url: str, stage: Stage) -> None:
    """The job, started again."""
    from resumable import Job, job

    times: dict[str, Any] = {}

    @job("large")
    def large(j: Job) -> None:
        before = time.perf_counter()
        for n in range(STEPS):
            j.options(key=n).step("work", work, n)
        times["replay"] = time.perf_counter() - before
        times["mebibytes"] = (_peak() - memory) / 1024
        stage.tell(times)

    store = open_store(url)
    begin = store.begin

    def timed_begin(*args: Any) -> Any:
        before = time.perf_counter()
        begun = begin(*args)
        times["read"] = time.perf_counter() - before
        return begun

    store.begin = timed_begin  # type: ignore[method-assign]
    store.get_run("large")
    memory = _peak()
    large.run(id="large", store=store)


def _peak() -> int:
    """KiB. Not `ru_maxrss`: that begins with the parent's."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])


if __name__ == "__main__":
    play(sys.argv[1], Stage(sys.argv[2]))
