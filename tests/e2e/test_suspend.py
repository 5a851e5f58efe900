"""Stopped by people: suspended and resumed, cancelled, deleted."""

from __future__ import annotations

from tests.cluster import Cluster, wait_for
from tests.e2e.installed import Installed
from tests.e2e.pod_watch import PodWatch
from tests.e2e.rows_job import ROWS, rows_manifest, start_rows


def test_a_suspended_job_saves_gives_its_pod_back_and_goes_on_when_resumed(cluster: Cluster, namespace: str) -> None:
    with PodWatch(cluster, namespace) as watch:
        job = start_rows(cluster, namespace, "suspended")
        job.log.wait_for_rows(5, attempt=1)
        job.patch({"suspend": True})
        assert watch.wait_terminal(job.pod_name(1)).exit_code == 75
        job.wait_condition("Suspended")
        job.wait_no_live_pod()
        done = job.log.rows()

        job.patch({"suspend": False})
        job.log.wait_for_rows(1, attempt=2)
        job.wait_condition("Suspended", "False")
        job.log.hurry()
        job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.log.rows(attempt=1) == done, "the suspended job worked on"
    assert job.counters["failures"] == 0
    assert job.counters["interruptions"] == 0


def test_suspended_and_resumed_before_the_pod_is_gone_starts_no_second_one_beside_it(
    cluster: Cluster, namespace: str
) -> None:
    job = start_rows(cluster, namespace, "wavering")
    job.log.wait_for_rows(5, attempt=1)
    job.patch({"suspend": True})
    job.patch({"suspend": False})
    job.log.hurry()
    job.wait_complete()

    job.log.check_each_row_once(ROWS)


def test_a_job_that_is_applied_suspended_starts_nothing_until_it_is_resumed(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "later", suspend=True)
    job.wait_condition("Suspended")
    assert job.pods() == []
    job.log.hurry()
    job.patch({"suspend": False})
    job.wait_complete()

    job.log.check_each_row_once(ROWS)


def test_a_cancelled_job_ends_for_good(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "cancelled")
    job.log.wait_for_rows(5, attempt=1)
    job.patch({"cancel": True})
    job.wait_condition("Finished")
    job.wait_no_live_pod()

    assert job.status["phase"] == "Cancelled"
    assert job.log.attempts() == [1]
    assert job.log.count("report") == 0


def test_a_deleted_job_leaves_no_pod_no_finalizer_and_no_record(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    job = start_rows(cluster, namespace, "unwanted")
    job.log.wait_for_rows(5, attempt=1)
    run = job.get()["metadata"]["uid"]
    with installed.store() as store:
        assert store.get_run(run) is not None

        job.kubectl("delete", "resumablejob", job.name, "--timeout=60s")
        wait_for(lambda: job.pods() == [], 30, "The garbage collector left a pod", state=job.pods)
        assert cluster.find("resumablejob", job.name, namespace) is None
        assert store.get_run(run) is None
    done = job.log.rows()

    # The same name again is a new run, from the start.
    job.apply(rows_manifest(job.name))
    wait_for(lambda: len(job.log.rows()) > len(done), 60, "The new job of the same name did not start")
    assert job.log.rows()[len(done)] == 1
