"""Daemons are started, found again and ended, and nobody else's process is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cluster.process import Daemon, Process, Supervisor, end
from tests.cluster.waiting import wait_for

NO_GRACE = timedelta(0)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    keeper = Supervisor(tmp_path / "daemons.json")
    yield keeper
    end(keeper.strays(), grace=NO_GRACE)


def daemon(tmp_path: Path, script: str = "import time; time.sleep(60)") -> Daemon:
    return Daemon("sleeper", (sys.executable, "-c", script), tmp_path / "sleeper.log")


def start(supervisor: Supervisor, tmp_path: Path, script: str = "import time; time.sleep(60)") -> Process:
    return supervisor.start(daemon(tmp_path, script), dict(os.environ))


def test_a_daemon_that_runs_is_not_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    assert start(supervisor, tmp_path) == start(supervisor, tmp_path)


def test_another_run_finds_the_daemon_by_the_records(supervisor: Supervisor, tmp_path: Path) -> None:
    process = start(supervisor, tmp_path)
    assert Supervisor(tmp_path / "daemons.json").find("sleeper") == process


def test_a_daemon_that_was_killed_is_not_found(supervisor: Supervisor, tmp_path: Path) -> None:
    process = start(supervisor, tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: supervisor.find("sleeper") is None, 10, "The killed daemon was still found")


def test_a_process_that_has_the_id_of_an_old_daemon_is_left_alone() -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stale = Process(bystander.pid, started=1)
        assert not stale.alive
        end([stale], grace=NO_GRACE)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_daemon_that_ignores_sigterm_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    process = start(supervisor, tmp_path, script)
    wait_for(lambda: "deaf" in (tmp_path / "sleeper.log").read_text(), 10, "The daemon did not start")
    supervisor.stop("sleeper", grace=timedelta(seconds=0.2))
    assert not process.alive
    assert supervisor.names() == []


def test_a_frozen_daemon_is_seen_and_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    process = start(supervisor, tmp_path)
    process.send(signal.SIGSTOP)
    wait_for(lambda: process.frozen, 10, "The daemon was not seen to be frozen")
    supervisor.stop("sleeper", grace=timedelta(seconds=5))
    assert not process.alive


def test_children_of_an_unrecorded_daemon_are_found_by_their_mark(supervisor: Supervisor, tmp_path: Path) -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    process = start(supervisor, tmp_path, script)
    wait_for(lambda: len(supervisor.strays()) == 2, 10, "The daemon's child was not found", state=supervisor.strays)
    (tmp_path / "daemons.json").unlink()
    end(supervisor.strays(), grace=NO_GRACE)
    assert not process.alive
    assert supervisor.strays() == []
