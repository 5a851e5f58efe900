"""A node is lost: its kubelet is frozen, while the worker on it runs on, with its network, its volume and its fence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from tests.cluster import Cluster, wait_for
from tests.e2e.installed import STATE, Installed, cordoned, other_node
from tests.e2e.resumable_job import ResumableJob
from tests.e2e.rows_job import EVERY, ROWS, start_rows

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def test_the_pod_of_a_node_that_does_not_answer_gets_no_successor_until_it_is_terminal(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    job = start_away_from_the_operator(cluster, installed, namespace, "unreachable")
    lost = job.node_of(1)
    with frozen(cluster, lost):
        wait_for(lambda: _is_being_deleted(job, 1), 45, "The taint manager did not delete the pod of the lost node")
        so_far = len(job.log.rows())
        job.log.wait_for_rows(so_far + 2 * EVERY, attempt=1)  # it works on, and may: it has the fence
        assert job.pod(2) is None
    job.log.wait_for_rows(1, attempt=2)
    job.log.hurry()
    job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.causes()[0] == "DeletionByTaintManager"
    assert job.counters["interruptions"] == 1
    assert job.counters["failures"] == 0


def test_a_zombie_on_a_node_that_was_declared_dead_can_write_nothing(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    """An administrator says that the node is out of service, so Kubernetes takes its pods for terminal. It isn't."""
    job = start_away_from_the_operator(cluster, installed, namespace, "zombie", script="zombie.py")
    lost = job.node_of(1)
    with frozen(cluster, lost), out_of_service(cluster, lost):
        let_the_zombie_meet_its_successor(job)
    check_the_zombie_changed_nothing(job)


def test_a_zombie_that_was_given_up_after_fencing_can_write_nothing(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    """`AfterFencing`: nobody says that the node is dead; its pod did not answer for long enough."""
    job = start_away_from_the_operator(
        cluster,
        installed,
        namespace,
        "given-up",
        script="zombie.py",
        podReplacementPolicy="AfterFencing",
        unreachableNodeSeconds=5,
    )
    with frozen(cluster, job.node_of(1)):
        let_the_zombie_meet_its_successor(job)
    check_the_zombie_changed_nothing(job)


def let_the_zombie_meet_its_successor(job: ResumableJob) -> None:
    """From the lost node to the end of the job, while the first worker still runs."""
    job.log.wait_for_rows(2 * EVERY, attempt=2, within=timedelta(seconds=120))
    job.log.wait_for(
        lambda log: any(attack.details["what"] == "delete the run" for attack in log.effects("attack")),
        "that the zombie tried all that it can",
    )
    job.log.hurry()
    job.wait_complete()


def check_the_zombie_changed_nothing(job: ResumableJob) -> None:
    """The zombie noticed, was refused everything, and the job ended as if it had not been there."""
    exits = {effect.attempt: effect.details["code"] for effect in job.log.effects("exit")}
    assert exits == {1: 77, 2: 0}
    answers = {attack.details["what"]: attack.details["answer"] for attack in job.log.effects("attack")}
    assert answers.pop("delete the run") == "StoreRefused"
    assert set(answers.values()) <= {"Fenced", "StoreRefused"}, answers
    assert len(answers) == 8

    # Each attempt by itself: the zombie worked beside its successor until its next save, and not beyond.
    successor = job.log.rows(attempt=2)
    assert successor == list(range(successor[0], ROWS + 1))
    zombie = job.log.rows(attempt=1)
    assert zombie == list(range(1, len(zombie) + 1))
    assert successor[0] - 1 <= len(zombie) <= successor[0] - 1 + 2 * EVERY
    assert [report.attempt for report in job.log.effects("report")] == [2]
    assert job.log.count("prepare") == 1
    assert job.counters["failures"] == 0


def start_away_from_the_operator(
    cluster: Cluster, installed: Installed, namespace: str, name: str, script: str = "rows.py", **spec: object
) -> ResumableJob:
    """The rows job in the middle of its step, on the node that holds no part of the operator."""
    node = installed.node_of(STATE)
    installed.gather_on(node)
    with cordoned(cluster, node):
        job = start_rows(cluster, namespace, name, script, pause_ms=100, grace_seconds=5, **spec)
        job.log.wait_for_rows(2 * EVERY, attempt=1)
    assert job.node_of(1) == other_node(cluster, node)
    return job


@contextmanager
def frozen(cluster: Cluster, node: str) -> Iterator[None]:
    """The node's kubelet does not answer, and Kubernetes has noticed; afterwards it is back."""
    cluster.stop_node(node)
    try:
        cluster.wait_node(node, ready=False)
        yield
    finally:
        cluster.continue_node(node)


@contextmanager
def out_of_service(cluster: Cluster, node: str) -> Iterator[None]:
    """What an administrator does with a node that will not come back: Kubernetes then takes its pods for terminal."""
    cluster.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute")
    try:
        yield
    finally:
        cluster.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}-")


def _is_being_deleted(job: ResumableJob, attempt: int) -> bool:
    pod = job.pod(attempt)
    return pod is not None and "deletionTimestamp" in pod["metadata"]
