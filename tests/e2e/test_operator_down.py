"""The controller or the state service is away, or dies at a bad moment."""

from __future__ import annotations

import random
import time

from tests.cluster import Cluster
from tests.e2e.installed import CONTROLLER, STATE, Installed
from tests.e2e.pod_watch import PodWatch
from tests.e2e.rows_job import ROWS, start_rows

_SEED = random.SystemRandom().randrange(1 << 32)


def test_the_controller_killed_around_each_change_of_attempts_loses_and_doubles_nothing(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    """Each kill falls somewhere between a pod's end, its counting, the next mint, and the next pod's creation."""
    print(f"moments by random seed {_SEED}")
    moments = random.Random(_SEED)
    kills = 5
    restarts = installed.restarts(CONTROLLER)
    with PodWatch(cluster, namespace) as watch:
        job = start_rows(cluster, namespace, "orphan")
        for attempt in range(1, kills + 1):
            job.log.wait_for_rows(3, attempt=attempt)
            process = installed.process(CONTROLLER)
            job.evict_pod(attempt)
            watch.wait_terminal(job.pod_name(attempt))
            time.sleep(
                moments.uniform(0, 0.25)
            )  # the moment is the point: all that has to happen takes about this long
            process.kill()
            installed.wait_restarted(CONTROLLER, process)
        job.log.wait_for_rows(1, attempt=kills + 1)
        job.log.hurry()
        job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert installed.restarts(CONTROLLER) - restarts >= kills
    assert job.counters["interruptions"] == kills
    assert job.counters["failures"] == 0
    assert job.log.attempts() == list(range(1, kills + 2))


def test_a_job_that_ends_while_the_controller_is_away_is_counted_when_it_is_back(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    job = start_rows(cluster, namespace, "unattended")
    job.log.wait_for_rows(5, attempt=1)
    with installed.switched_off():
        job.log.hurry()
        job.wait_no_live_pod()
        assert job.condition("Complete").get("status") != "True"
    job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.log.attempts() == [1]


def test_a_pod_that_dies_while_the_controller_is_away_is_replaced_when_it_is_back(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    job = start_rows(cluster, namespace, "unseen")
    job.log.wait_for_rows(5, attempt=1)
    with installed.switched_off():
        job.evict_pod(1)
        job.wait_no_live_pod()
        assert job.pod(1) is not None, "the pod is gone, and its exit code with it, before its end was counted"
    job.log.wait_for_rows(1, attempt=2)
    job.log.hurry()
    job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.causes()[0] == "EvictionByEvictionAPI"
    assert job.counters["interruptions"] == 1


def test_workers_outlast_a_state_service_that_is_killed_twice(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    job = start_rows(cluster, namespace, "patient")
    for _ in range(2):
        job.log.wait_for_rows(len(job.log.rows()) + 25, attempt=1)
        process = installed.process(STATE)
        process.kill()
        installed.wait_restarted(STATE, process)
    job.log.wait_for_rows(len(job.log.rows()) + 25, attempt=1)
    job.log.hurry()
    job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.log.attempts() == [1], "the worker did not wait for the store"
    assert job.counters["failures"] == 0


def test_a_pod_evicted_while_the_state_service_is_away_leaves_as_interrupted(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    job = start_rows(cluster, namespace, "unlucky")
    job.log.wait_for_rows(25, attempt=1)
    process = installed.process(STATE)
    process.kill()
    job.evict_pod(1)
    installed.wait_restarted(STATE, process)
    job.log.wait_for_rows(1, attempt=2)
    job.log.hurry()
    job.wait_complete()

    job.log.check_no_row_missing(ROWS, repeated_at_most=10)
    assert job.counters["failures"] == 0
    assert job.counters["interruptions"] == 1


def test_a_job_outlasts_an_api_server_that_is_away(cluster: Cluster, installed: Installed, namespace: str) -> None:
    job = start_rows(cluster, namespace, "isolated")
    job.log.wait_for_rows(25, attempt=1)
    cluster.stop_api_server()
    try:
        # No new token can be checked and nothing be told to Kubernetes; a worker that is known works on.
        job.log.wait_for_rows(len(job.log.rows()) + 100, attempt=1)
    finally:
        cluster.start_api_server()
    job.log.hurry()
    job.wait_complete()
    installed.wait_ready()

    job.log.check_each_row_once(ROWS)
    assert job.log.attempts() == [1]
    assert job.counters["failures"] == 0
    assert job.counters["interruptions"] == 0
