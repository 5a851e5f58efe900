"""A worker's view of a run on a real store, one attempt after the other, in this process."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from resumable.sdk.attempt import Attempt
from resumable.sdk.context import StepContext
from resumable.sdk.interruption import Interruption
from resumable.sdk.running_step import RunningStep
from resumable.state.outcome import Changed
from resumable.state.record import Fence, Run, RunStatus
from resumable.state.store import Expected, NewRun, Store

GRACE = timedelta(seconds=30)


def mint(store: Store, run_id: str = "r") -> Fence:
    """What the controller does before it creates a pod."""
    store.create_run(NewRun(id=run_id, namespace="default", name="job"))
    run = store.get_run(run_id)
    assert run is not None
    changed = store.mint(run_id, Expected.of(run), os.urandom(16).hex())
    assert isinstance(changed, Changed), changed
    return changed.run.fence


def begin(store: Store, fence: Fence | None = None, *, store_timeout: timedelta = timedelta(seconds=5)) -> Attempt:
    """The next attempt of run "r", begun."""
    return Attempt.begin(store, fence or mint(store), Interruption(GRACE), store_timeout=store_timeout)


def context(attempt: Attempt, root: Path | None = None, *, cursor: Any = int, name: str = "s") -> StepContext[Any]:
    """A step's context without a step's function."""
    return StepContext(attempt, RunningStep(name, "", 1), cursor, root)


def run_of(store: Store, run_id: str = "r") -> Run:
    run = store.get_run(run_id)
    assert run is not None
    return run


def status(store: Store, run_id: str = "r") -> RunStatus:
    return run_of(store, run_id).status


def go_on(store: Store, run_id: str = "r") -> None:
    """A person, or the time, lets a run that waits or is paused go on."""
    run = run_of(store, run_id)
    changed = store.settle(run_id, Expected.of(run), RunStatus.PENDING, reason="GoOn")
    assert isinstance(changed, Changed), changed
