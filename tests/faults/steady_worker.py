"""The job `steady` as a real worker process, and what must be true of it whatever happened to the store."""

from collections.abc import Mapping
from pathlib import Path

from resumable.state.record import RunStatus, StepStatus
from resumable.state.store import Store
from tests.sdk.process import JobProcess, Workplace
from tests.sdk.worker_runs import RUN, create, mint, run_of

SCRIPT = str(Path(__file__).parent / "jobs" / "steady")


def start(
    place: Workplace, store: Store, url: str, *, steps: int, environment: Mapping[str, str] | None = None
) -> JobProcess:
    """The first attempt of a run of so many steps. It waits a minute for a store that is away."""
    create(store, "steady", b'{"steps": %d}' % steps)
    return place.start(SCRIPT, env=mint(store, url=url, store_timeout=60) | dict(environment or {}))


def nothing_is_lost(place: Workplace, store: Store, process: JobProcess, *, steps: int) -> None:
    """The one process did it all: each step once, each result stored, no attempt but the first."""
    assert process.exit_code(seconds=90) == 0, process.log
    run = run_of(store)
    assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 1)
    stored = store.list_steps(RUN)
    assert [step.key for step in stored if step.status is StepStatus.DONE] == [str(n) for n in range(steps)]
    assert [step.tries for step in stored] == [1] * steps
    assert place.effects() == [f"{what} {n}" for n in range(steps) for what in ("ran", "acknowledged")]
    assert "Traceback" not in process.log
