"""Retries that keep no pod: a long back-off, and a step that waits for a person."""

from __future__ import annotations

from datetime import datetime

from tests.cluster import Cluster
from tests.e2e.manifests import resumable_job
from tests.e2e.resumable_job import ResumableJob


def test_a_back_off_keeps_no_pod_and_a_manual_retry_pauses_until_a_person_restarts_it(
    cluster: Cluster, namespace: str
) -> None:
    job = ResumableJob.start(cluster, namespace, resumable_job("delivery", "retries.py", backoffLimit=0))
    job.wait_condition("Waiting")
    job.wait_no_live_pod()
    condition = job.condition("Waiting")
    assert condition["reason"] == "RetryBackOff"
    assert "the road is blocked" in condition["message"]
    assert datetime.fromisoformat(job.status["nextAttemptTime"])
    job.log.wait_for(lambda log: log.count("ship") >= 2, "a second try")
    job.log.say("road-is-clear")

    job.wait_condition("Paused")
    job.wait_no_live_pod()
    assert job.condition("Paused")["reason"] == "StepFailed"
    assert "the paper is wrong" in job.condition("Paused")["message"]
    assert job.log.count("sign") == 1
    job.log.say("paper-is-right")
    job.patch({"restart": {"requestID": "the paper is right now"}})
    job.wait_complete()

    assert job.log.count("sign") == 2
    assert job.log.count("ship") == len(job.log.effects("ship"))
    assert job.counters["failures"] == 0, "a retry is no failure of an attempt"
