"""Starting, repairing and stopping the cluster, as a person or a killed test run would leave it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, bootstrap, lock, machine, paths, wait_for

pytestmark = pytest.mark.timeout(600)

# The session's own lock would keep these commands from stopping the cluster, were they not told to.
UP = [sys.executable, "-m", "tests.cluster", "up"]
DOWN = [sys.executable, "-m", "tests.cluster", "down", "--force"]


@pytest.fixture(scope="module", autouse=True)
def kept_up_afterwards(bare_cluster: Cluster) -> Iterator[None]:
    yield
    Cluster.up()


def command(argv: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, cwd=paths.CHECKOUT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(argv: list[str]) -> str:
    process = command(argv)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def pids() -> dict[str, int | None]:
    supervisor = bootstrap.supervisor()
    found = {name: supervisor.find(name) for name in supervisor.names()}
    return {name: process.pid if process else None for name, process in found.items()}


def test_up_leaves_a_healthy_cluster_alone() -> None:
    before = pids()
    run(UP)
    assert pids() == before


def test_up_starts_the_daemons_that_died() -> None:
    before = pids()
    victims = ["etcd", "kube-apiserver", "kube-controller-manager", "containerd-n1", "kubelet-n2"]
    for name in victims:
        pid = before[name]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    run(UP)
    after = pids()
    assert {name for name in before if after[name] != before[name]} == set(victims)
    assert Cluster.attach().node_is_ready("n2")


def test_up_thaws_a_frozen_node() -> None:
    cluster = Cluster.attach()
    cluster.stop_node("n1", wait=True)
    run(UP)
    assert cluster.node_is_ready("n1")


def test_up_replaces_a_cluster_whose_state_is_lost() -> None:
    etcd = bootstrap.supervisor().find("etcd")
    assert etcd is not None
    etcd.send(signal.SIGKILL)
    shutil.rmtree(paths.RUN / "etcd" / "member")
    (paths.RUN / "etcd" / "member").write_text("no database")
    assert "replacing it" in run(UP)
    assert len(Cluster.attach().find_all("nodes")) == 2


def test_down_leaves_nothing_behind() -> None:
    run(DOWN)
    assert machine.remains() == []
    assert bootstrap.supervisor().strays() == []


def test_down_without_a_cluster_is_no_error() -> None:
    assert "no cluster runs" in run(DOWN)


def test_two_ups_at_once_start_one_cluster() -> None:
    both = [command(UP), command(UP)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("starting the cluster" in text for text in said) >= 1
    assert sum("ready after" in text for text in said) == 1
    assert len(Cluster.attach().find_all("nodes")) == 2


def test_down_cleans_up_after_a_start_that_was_killed() -> None:
    run(DOWN)
    starting = command(UP)
    wait_for(lambda: bootstrap.supervisor().find("kubelet-n1"), 60, "The start did not get as far as a kubelet")
    starting.kill()
    starting.wait()
    run(DOWN)
    assert machine.remains() == []
    assert bootstrap.supervisor().strays() == []


def test_down_is_refused_while_a_test_session_runs() -> None:
    assert lock.holder(lock.TESTING) == str(os.getpid())
    process = command([sys.executable, "-m", "tests.cluster", "down"])
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"The test session with process id {os.getpid()} uses the cluster" in said
