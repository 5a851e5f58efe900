"""A pod dies: killed, out of memory, deleted by hand, evicted. What it counts as, and that the job goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from tests.cluster import Cluster
from tests.e2e.installed import STATE, Installed, cordoned
from tests.e2e.manifests import resumable_job
from tests.e2e.pod_watch import PodWatch
from tests.e2e.resumable_job import Object, ResumableJob
from tests.e2e.rows_job import EVERY, ROWS, start_rows


def test_a_killed_process_is_a_failure_and_goes_on_from_its_last_save(cluster: Cluster, namespace: str) -> None:
    backoff = {"initialSeconds": 2, "maxSeconds": 2}
    with PodWatch(cluster, namespace) as watch:
        job = start_rows(cluster, namespace, "killed", backoff=backoff)
        for attempt in (1, 2):
            job.log.wait_for_rows(3 * EVERY, attempt=attempt)
            job.kill(attempt)
            dead = watch.wait_terminal(job.pod_name(attempt))
            assert dead.exit_code == 137
            successor = watch.wait_created(job.pod_name(attempt + 1))
            assert _created_at(successor.pod) - _ended_at(dead.pod) >= timedelta(seconds=2), (
                "the back-off was cut short"
            )
        job.log.wait_for_rows(1, attempt=3)
        job.log.hurry()
        job.wait_complete()

    job.log.check_no_row_missing(ROWS, repeated_at_most=2 * EVERY)
    assert job.counters["failures"] == 2
    assert job.counters["interruptions"] == 0


def test_a_job_killed_more_often_than_the_limit_fails(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "hopeless", backoffLimit=1, backoff={"initialSeconds": 1, "maxSeconds": 1})
    for attempt in (1, 2):
        job.log.wait_for_rows(2 * EVERY, attempt=attempt)
        job.kill(attempt)

    job.wait_condition("Failed")
    assert job.condition("Failed")["reason"] == "BackoffLimitExceeded"
    assert job.pod(3) is None
    assert job.log.attempts() == [1, 2]
    assert job.log.rows(attempt=2)[0] > EVERY, "the second attempt began at the start"
    assert job.log.count("report") == 0


def test_running_out_of_memory_is_a_failure_with_its_own_reason(cluster: Cluster, namespace: str) -> None:
    limits = {"resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "96Mi"}}}
    manifest = resumable_job(
        "hog",
        "memory_hog.py",
        input={"megabytes": 300},
        container=limits,
        backoff={"initialSeconds": 1, "maxSeconds": 1},
    )
    job = ResumableJob.start(cluster, namespace, manifest)
    job.wait_complete()

    assert job.causes()[:2] == ["OOMKilled", "OOMKilled"]
    assert job.counters["failures"] == 2
    assert job.log.count("prepare") == 1, "a finished step ran again"
    assert job.log.count("load") == 3
    assert job.log.count("survived") == 0


def test_a_pod_deleted_by_hand_is_an_interruption(cluster: Cluster, namespace: str) -> None:
    with PodWatch(cluster, namespace) as watch:
        job = start_rows(cluster, namespace, "deleted")
        job.log.wait_for_rows(5, attempt=1)
        job.delete_pod(1)
        assert watch.wait_terminal(job.pod_name(1)).exit_code == 75
        job.log.wait_for_rows(1, attempt=2)
        job.log.hurry()
        job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.causes()[0] == "DeletedByUser"
    assert job.counters["interruptions"] == 1
    assert job.counters["failures"] == 0


def test_an_evicted_pod_is_an_interruption_with_the_reason_of_its_disruption(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "evicted")
    job.log.wait_for_rows(5, attempt=1)
    job.evict_pod(1)
    job.log.wait_for_rows(1, attempt=2)
    job.log.hurry()
    job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.causes()[0] == "EvictionByEvictionAPI"
    assert job.counters["interruptions"] == 1
    assert job.counters["failures"] == 0


def test_a_pod_deleted_without_grace_loses_only_what_came_after_its_last_save(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "forced")
    job.log.wait_for_rows(3 * EVERY, attempt=1)
    job.delete_pod(1, grace_seconds=0)
    job.log.wait_for_rows(1, attempt=2)
    job.log.hurry()
    job.wait_complete()

    job.log.check_no_row_missing(ROWS, repeated_at_most=EVERY)
    assert job.counters["failures"] == 0


def test_a_worker_stuck_in_its_step_leaves_before_it_is_killed_and_its_last_save_stands(
    cluster: Cluster, namespace: str
) -> None:
    with PodWatch(cluster, namespace) as watch:
        manifest = resumable_job("stuck", "stubborn.py", input={"saved": 7}, grace_seconds=6)
        job = ResumableJob.start(cluster, namespace, manifest)
        job.log.wait_for(lambda log: log.count("stuck") == 1, "that the worker is stuck")
        job.evict_pod(1)
        assert watch.wait_terminal(job.pod_name(1)).exit_code == 75, "it had to be killed"
        job.wait_complete()

    assert [effect.details["number"] for effect in job.log.effects("work")] == list(range(1, 8))
    assert job.causes()[0] == "EvictionByEvictionAPI"
    assert job.counters["failures"] == 0


def test_a_preempted_pod_makes_room_and_the_job_goes_on_elsewhere(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    node = installed.node_of(STATE)
    installed.gather_on(node)
    with cordoned(cluster, node):
        job = start_rows(cluster, namespace, "humble", container={"resources": {"requests": {"cpu": "1"}}})
        job.log.wait_for_rows(5, attempt=1)
    left = job.node_of(1)
    with important_pod(cluster, namespace, left, cpu="1500m"):
        job.log.wait_for_rows(1, attempt=2)
        assert job.node_of(2) == node
        job.log.hurry()
        job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.causes()[0] == "PreemptionByScheduler"
    assert job.counters["failures"] == 0


@contextmanager
def important_pod(cluster: Cluster, namespace: str, node: str, cpu: str) -> Iterator[None]:
    """A pod of a higher priority that needs so much of the node."""
    priority = f"important-{namespace}"[:63]
    pod = resumable_job("x", container={"command": ["sleep", "infinity"], "volumeMounts": []})["spec"]["template"]
    pod["spec"] |= {"priorityClassName": priority, "nodeSelector": {"kubernetes.io/hostname": node}, "volumes": []}
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
    kinds: list[Object] = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": priority},
            "value": 1000,
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "important"}, **pod},
    ]
    try:
        cluster.apply(kinds, namespace=namespace)
        yield
    finally:
        cluster.kubectl("delete", "pod", "important", f"--namespace={namespace}", "--grace-period=0", "--force")
        cluster.kubectl("delete", "priorityclass", priority)


def _created_at(pod: Object) -> datetime:
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


def _ended_at(pod: Object) -> datetime:
    return datetime.fromisoformat(pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"])
