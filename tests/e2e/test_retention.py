"""A record that goes when its time is over: the job stays finished."""

from __future__ import annotations

from datetime import timedelta

from tests.cluster import Cluster, wait_for
from tests.e2e.installed import Installed
from tests.e2e.manifests import resumable_job
from tests.e2e.resumable_job import ResumableJob


def test_a_job_stays_complete_when_its_record_is_swept_and_a_restart_is_told_that_it_is_too_late(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    job = ResumableJob.start(cluster, namespace, resumable_job("brief", "kept.py"))
    job.wait_complete()
    job.wait_causes("Completed")
    run_id = job.get()["metadata"]["uid"]
    with installed.store() as store:
        wait_for(lambda: store.get_run(run_id) is None, timedelta(minutes=3), "The record was not swept")

    job.patch({"restart": {"requestID": "late", "fromStep": {"name": "work"}}})
    job.wait_condition("Accepted", "False")
    assert job.condition("Accepted")["reason"] == "RecordExpired"
    assert job.condition("Complete")["status"] == "True"
    assert job.condition("Paused").get("status") != "True"
    assert job.pod(2) is None
    assert job.log.count("work") == 1

    job.kubectl("delete", "resumablejob", job.name, "--timeout=60s")
    assert cluster.find("resumablejob", job.name, namespace) is None
