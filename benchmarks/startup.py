"""From a process's start to the author's code, with a stored run; and what the SDK imports on the way."""

import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from tests.servers.state_service import ServiceProcess

from benchmarks.contestants import Worker, fill
from benchmarks.player import ROOT
from benchmarks.table import Row, duration
from resumable.sdk.environment import WorkerEnvironment
from resumable.state.open import open_store
from resumable.state.outcome import Changed
from resumable.state.record import EndKind, RunStatus
from resumable.state.store import AttemptEnd, Expected, Store

GOAL = 0.25
TIMES = 9
STORED = 100
HEAVY = ("sqlalchemy", "alembic", "redis", "psycopg", "pymysql", "kubernetes", "kopf", "litestar", "asyncio", "rich")

JOB = """
import time
from resumable import Job, job

def work(n: int) -> int:
    return n

@job("startup")
def startup(j: Job) -> None:
    print(time.time(), flush=True)

if __name__ == "__main__":
    startup.main()
"""


def rows(folder: Path) -> Iterator[Row]:
    """The import alone, then a worker on SQLite and on the state service."""
    empty = [_seconds_to_import("") for _ in range(TIMES)]
    imports = [_seconds_to_import("import resumable") for _ in range(TIMES)]
    loaded = _loaded("import resumable")
    heavy = sorted(set(HEAVY) & set(loaded))
    yield Row(
        "import resumable",
        f"{duration(statistics.median(imports) - statistics.median(empty))} more than an empty process",
        f"empty process {duration(statistics.median(empty))}",
        met=not heavy,
        goal="no SQL, Redis, Kubernetes",
        note=f"imports {', '.join(loaded)} beside the standard library" + (f"; HEAVY: {heavy}" if heavy else ""),
    )
    service = ServiceProcess(f"sqlite:///{folder}/service.db", folder / "service.log")
    try:
        service.wait_until_ready()
        for title, url in (("SQLite", f"sqlite:///{folder}/startup.db"), ("the state service", service.url)):
            yield _start(title, url, folder)
    finally:
        service.kill()


def _start(title: str, url: str, folder: Path) -> Row:
    script = folder / "startup_job.py"
    script.write_text(JOB)
    seconds = []
    for _ in range(TIMES):
        environment = _stored_run(open_store(url), url)
        before = time.time()
        done = subprocess.run(
            [sys.executable, str(script)], env=_environment(environment), capture_output=True, text=True, check=True
        )
        seconds.append(float(done.stdout.split()[0]) - before)
    middle = statistics.median(seconds)
    spread = f"{duration(min(seconds))}–{duration(max(seconds))}"
    return Row(
        f"process start to user code, {STORED} stored steps, {title}",
        f"{duration(middle)} ({spread})",
        goal=f"< {GOAL * 1e3:.0f} ms",
        met=middle < GOAL,
    )


def _stored_run(store: Store, url: str) -> Mapping[str, str]:
    """A run that was interrupted, and its next attempt's environment."""
    worker = Worker(store)
    fill(store, worker.fence, STORED)
    ended = AttemptEnd(attempt=1, kind=EndKind.INTERRUPTION, cause="Test", to=RunStatus.INTERRUPTED)
    counted = store.count_end(worker.fence.run_id, ended)
    assert isinstance(counted, Changed)
    minted = store.mint(worker.fence.run_id, Expected.of(counted.run), secrets.token_hex(16))
    assert isinstance(minted, Changed)
    store.close()
    return WorkerEnvironment(store_url=url, fence=minted.run.fence, grace=timedelta(seconds=30)).variables()


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "operator")} | dict(more)


def _seconds_to_import(statement: str) -> float:
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], env=_environment({}), check=True)
    return time.perf_counter() - before


def _loaded(statement: str) -> list[str]:
    """The top-level modules that it loads, without the standard library's, but with asyncio, which is slow."""
    script = f"""import sys
before = set(sys.modules)
{statement}
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(name for name in loaded if name not in sys.stdlib_module_names or name == "asyncio"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=_environment({}), capture_output=True, text=True, check=True
    )
    return done.stdout.split()
