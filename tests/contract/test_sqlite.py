"""What is SQLite's own: its file, its lock between processes, and going back in time by restoring an older copy."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from resumable.state.open import open_store
from resumable.state.outcome import Begun, Fenced, Rewound, Stored, StoreRefused, StoreUnavailable
from resumable.state.record import RunStatus
from resumable.state.sql import sqlite as sqlite_module
from resumable.state.sql.sqlite import filesystem
from resumable.state.sql.store import SqlStore
from tests.contract.runs import Worker, ended, minted, names, new_run, run_of, started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@contextmanager
def opened(file: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(f"sqlite:///{file}")) as store:
        yield store


def test_what_was_stored_is_there_when_the_file_is_opened_again(file: Path) -> None:
    with opened(file) as store:
        worker = started(store)
        worker.finish("load", 1)
        uuid = store.info().uuid
    with opened(file) as store:
        assert store.info().uuid == uuid
        assert names(store.list_steps(worker.fence.run_id)) == ["load"]


def test_a_restored_older_copy_is_noticed_by_the_worker_that_goes_on(file: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    with opened(file) as store:
        worker = started(store)
        worker.finish("load", 1)
    shutil.copy(file, older)
    with opened(file) as store:
        worker.store = store
        worker.finish("import", 2)
    shutil.copy(older, file)
    with opened(file) as store:
        worker.store = store
        assert isinstance(worker.finish("report", 3), Rewound)
        assert isinstance(worker.save("report", 3), Rewound)
        assert isinstance(worker.end(RunStatus.SUCCEEDED), Rewound)
        assert names(store.list_steps(worker.fence.run_id)) == ["load"]


def test_a_number_minted_again_after_a_restore_is_another_attempt(file: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    with opened(file) as store:
        first = started(store)
        run = ended(first)
    shutil.copy(file, older)
    with opened(file) as store:
        second = Worker(store, minted(store, run).fence)
        assert isinstance(second.begin(), Begun)
    shutil.copy(older, file)
    with opened(file) as store:
        anew = Worker(store, minted(store, run_of(store, run.id)).fence)
        assert anew.fence.attempt == second.fence.attempt == 2
        assert isinstance(anew.begin(), Begun)
        second.store = store
        assert all(isinstance(outcome, Fenced) for outcome in second.every_write())
        assert anew.finish("load") == Stored()


WRITER = """
import sys
from resumable.state.record import Fence
from resumable.state.sql.store import SqlStore
from tests.contract.runs import Worker
_, url, run_id, nonce = sys.argv
worker = Worker(SqlStore(url), Fence(run_id, 1, nonce))
for number in range(1_000_000):
    worker.finish(f"step-{number}", ordinal=number)
    print(number, flush=True)
"""


def test_what_was_acknowledged_to_a_process_that_is_killed_is_there(file: Path) -> None:
    with opened(file) as store:
        fence = started(store).fence
        command = [sys.executable, "-c", WRITER, f"sqlite:///{file}", fence.run_id, fence.nonce]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout
            said = [process.stdout.readline() for _ in range(50)]
            process.kill()
            said += process.stdout.readlines()
        acknowledged = len([line for line in said if line.endswith("\n")])
        stored = names(store.list_steps(fence.run_id))
        assert acknowledged >= 50
        assert stored[:acknowledged] == [f"step-{number}" for number in range(acknowledged)]
        assert len(stored) <= acknowledged + 1  # one may have been stored and not acknowledged


def test_a_write_of_another_process_is_waited_for_and_then_seen(file: Path) -> None:
    with opened(file) as store, ThreadPoolExecutor() as threads, closing(_raw(file)) as other:
        worker = started(store)
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE run SET attempt = 2, nonce = 'other', status = 'Pending'")
        finish = threads.submit(worker.finish, "late")
        with pytest.raises(TimeoutError):
            finish.result(0.2)  # it can't have an answer as long as the lock is held
        other.execute("COMMIT")
        assert isinstance(finish.result(20), Fenced)
        assert store.list_steps(worker.fence.run_id) == ()


def test_readers_do_not_wait_for_a_writer(file: Path) -> None:
    with opened(file) as store, closing(_raw(file)) as other:
        run = new_run(store)
        other.execute("BEGIN IMMEDIATE")
        assert store.get_run(run.id) == run
        other.execute("ROLLBACK")


def test_a_lock_that_is_held_too_long_is_unavailable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0.05)
    with opened(file) as store, closing(_raw(file)) as other:
        worker = started(store)
        write = worker.write()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            worker.finish("load", write=write)
        with pytest.raises(StoreUnavailable, match="locked"):
            store.request_stop(worker.fence.run_id, 1, "Suspended")
        other.execute("ROLLBACK")
        assert worker.finish("load", write=write) == Stored()


def test_each_commit_is_flushed(file: Path) -> None:
    with opened(file) as store:
        info = store.info()
        assert info.durable, info.durability
        assert "synchronous=FULL" in info.durability


def test_memory_is_graded_volatile() -> None:
    with closing(SqlStore("sqlite://")) as store:
        assert not store.info().durable


def test_the_file_system_is_the_innermost_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:5 / /data rw shared:1 - nfs4 host:/x rw\n"
        "3 2 0:6 / /data/my\\040jobs rw - tmpfs tmpfs rw\n"
    )
    assert filesystem("/var/x.db", str(mounts)) == "ext4"
    assert filesystem("/data/x.db", str(mounts)) == "nfs4"
    assert filesystem("/database/x.db", str(mounts)) == "ext4"
    assert filesystem("/data/my jobs/x.db", str(mounts)) == "tmpfs"
    assert filesystem("/x.db", str(tmp_path / "none")) == ""


def test_a_relative_path_is_refused_with_what_to_write() -> None:
    with pytest.raises(StoreRefused, match="four slashes"):
        SqlStore("sqlite:///runs.db")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="does its folder exist"):
        SqlStore(f"sqlite:///{tmp_path}/none/runs.db")


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.write_bytes(b"plain text, long enough to be no header of SQLite's" * 20)
    with pytest.raises(StoreRefused, match="not a SQLite database"):
        SqlStore(f"sqlite:///{file}")


@pytest.mark.parametrize("url", ["oracle://host/x", "runs.db", ""])
def test_a_url_of_another_kind_is_refused_with_the_allowed_ones(url: str) -> None:
    with pytest.raises(StoreRefused, match="sqlite, postgresql"):
        open_store(url)


def _raw(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=20)
