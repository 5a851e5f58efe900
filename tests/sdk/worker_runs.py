"""What the controller does for a worker, by hand: make a run, mint an attempt, start its process."""

import os
from datetime import timedelta
from pathlib import Path

from resumable.sdk.environment import WorkerEnvironment
from resumable.state.outcome import Changed
from resumable.state.record import Encoded, Run
from resumable.state.store import Expected, NewRun, Store

RUN = "0f0e7c1a"


def create(store: Store, job: str, value: bytes) -> None:
    """The run of a ResumableJob."""
    store.create_run(NewRun(id=RUN, namespace="default", name=job, input=Encoded("json", value)))


def mint(
    store: Store,
    *,
    url: str,
    grace: float = 30,
    checkpoint_dir: Path | None = None,
    store_timeout: float = 900,
) -> dict[str, str]:
    """The next attempt's environment."""
    changed = store.mint(RUN, Expected.of(run_of(store)), os.urandom(16).hex())
    assert isinstance(changed, Changed), changed
    return WorkerEnvironment(
        store_url=url,
        fence=changed.run.fence,
        grace=timedelta(seconds=grace),
        store_timeout=timedelta(seconds=store_timeout),
        checkpoint_dir=checkpoint_dir,
    ).variables()


def run_of(store: Store) -> Run:
    run = store.get_run(RUN)
    assert run is not None
    return run
