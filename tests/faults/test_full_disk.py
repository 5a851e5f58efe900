"""SQLite on a disk that is full: a clear error, nothing half-written, and a worker that goes on when there is room."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from resumable.state.outcome import Stored, StoreUnavailable
from resumable.state.record import Encoded
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep, GuardedWrite
from tests.contract.runs import Worker, names, started
from tests.sdk.process import ROOT

# Mounts a small disk that nobody else sees, as root or as a user who may make namespaces.
IN_A_SMALL_DISK = 'mount -t tmpfs -o size=6m small "$0" && exec "$@"'


def test_a_worker_waits_for_room_and_goes_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    unshare = shutil.which("unshare")
    assert unshare, "unshare is not installed. Run: sudo apt-get install util-linux"
    scenario = [sys.executable, "-m", "tests.faults.full_disk", str(tmp_path)]

    done = subprocess.run(
        [unshare, "--mount", "--map-root-user", "sh", "-c", IN_A_SMALL_DISK, str(disk), *scenario],
        cwd=ROOT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "nothing was lost\n"), done.stdout + done.stderr


class Room:
    """How many pages (of 4 KiB) the database may have: SQLite's own limit, after which it says that it is full."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.pages = 1_000_000
        event.listen(store.database.engine, "connect", self._limit)

    def leave(self, pages: int) -> None:
        with self._store.database.driver() as driver:
            self.pages = driver.execute("PRAGMA page_count").fetchone()[0] + pages
        self._store.database.engine.dispose()  # the limit is a connection's

    def _limit(self, connection: object, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={self.pages}")  # type: ignore[attr-defined]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
        yield opened


def large(worker: Worker, name: str, size: int = 400_000) -> GuardedWrite:
    return GuardedWrite(worker.fence, worker.write(), FinishedStep(name=name, result=Encoded("raw", b"x" * size)))


def test_a_write_that_does_not_fit_leaves_nothing_and_lands_when_there_is_room(store: SqlStore) -> None:
    worker, room = started(store), Room(store)
    room.leave(10)
    write = large(worker, "big")

    with pytest.raises(StoreUnavailable, match="database or disk is full; try again"):
        store.finish_step(*write)
    assert store.list_steps(worker.fence.run_id) == ()
    assert worker.finish("small") == Stored(), "there is room for that"

    room.leave(1000)
    assert store.finish_step(*write) == Stored()
    assert set(names(store.list_steps(worker.fence.run_id))) == {"small", "big"}


def test_in_a_group_what_fits_is_stored_though_another_does_not(store: SqlStore) -> None:
    workers, room = [started(store) for _ in range(5)], Room(store)
    room.leave(20)
    writes = [large(worker, "step", 400_000 if n == 2 else 100) for n, worker in enumerate(workers)]

    answers = store.write_together(writes)

    assert [type(answer) for answer in answers] == [Stored, Stored, StoreUnavailable, Stored, Stored]
    assert "database or disk is full" in str(answers[2])
