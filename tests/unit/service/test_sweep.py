"""The service sweeps by itself."""

import logging
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from resumable.state.outcome import StoreUnavailable
from resumable.state.remote import RemoteStore
from resumable.state.sql.store import SqlStore
from tests.contract.runs import Worker, started
from tests.servers.state_service import running_service

SOON = timedelta(milliseconds=20)


class AwayAtFirst(SqlStore):
    """A SQLite whose first sweep finds the store away, and whose second fails in a way that nobody thought of."""

    sweeps = 0

    def collect(self) -> int:
        self.sweeps += 1
        if self.sweeps == 1:
            raise StoreUnavailable("away")
        if self.sweeps == 2:
            raise RuntimeError("odd")
        return super().collect()


def wait_until_dropped(worker: Worker) -> None:
    deadline = time.monotonic() + 20
    while worker.store.list_steps(worker.fence.run_id)[0].result is not None:
        assert time.monotonic() < deadline, "the result is there still"
        time.sleep(0.01)


def test_results_go_when_their_time_is_over_though_nobody_asks(tmp_path: Path) -> None:
    with (
        closing(SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")) as store,
        running_service(store, sweep_interval=SOON) as url,
        closing(RemoteStore(url)) as remote,
    ):
        worker = started(remote)
        worker.finish("a", 1, expires_after_ms=1)
        wait_until_dropped(worker)


def test_a_sweep_that_fails_is_not_the_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        closing(AwayAtFirst(f"sqlite:///{tmp_path / 'runs.db'}")) as store,
        running_service(store, sweep_interval=SOON),
    ):
        worker = started(store)
        worker.finish("a", 1, expires_after_ms=1)
        wait_until_dropped(worker)

    assert [record.levelname for record in caplog.records if record.name == "resumable.service.sweep"] == [
        "WARNING",
        "ERROR",
    ]
