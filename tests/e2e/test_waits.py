"""A job that waits keeps no pod, and gets one back within a moment of the signal or of the time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resumable.state.outcome import Sent
from resumable.state.record import Encoded
from resumable.state.store import NewSignal
from tests.cluster import Cluster, CommandFailed, wait_for
from tests.e2e.installed import Installed
from tests.e2e.manifests import Manifest, resumable_job
from tests.e2e.pod_watch import PodWatch
from tests.e2e.resumable_job import ResumableJob

APPROVED = {"approved": True, "rows": [1, 2]}
BOUND_SECONDS = 5.0  # far above what is measured: a test is no benchmark


def start(cluster: Cluster, namespace: str, name: str, **input: str) -> ResumableJob:
    return ResumableJob.start(cluster, namespace, resumable_job(name, "waits.py", input=input))


def signal(name: str, job: str, payload: object = APPROVED) -> Manifest:
    return {
        "apiVersion": "resumable.dev/v1alpha1",
        "kind": "ResumableSignal",
        "metadata": {"name": name},
        "spec": {"jobName": job, "name": "approval", "payload": payload},
    }


def wait_delivered(cluster: Cluster, namespace: str, name: str, phase: str = "Delivered") -> dict[str, Any]:
    def in_phase() -> dict[str, Any] | None:
        found = cluster.find("resumablesignal", name, namespace)
        return found if found and found.get("status", {}).get("phase") == phase else None

    return wait_for(
        in_phase, 30, f"Signal {name} is not {phase}", state=lambda: cluster.find("resumablesignal", name, namespace)
    )


def wait_waiting(job: ResumableJob) -> None:
    """Until the run waits and its pod has left."""
    job.wait_condition("Waiting")
    job.wait_no_live_pod()
    job.wait_causes("Waiting")


def test_a_job_that_waits_has_no_pod_and_a_signal_brings_it_back_with_payload_and_sender(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with PodWatch(cluster, namespace) as watch:
        job = start(cluster, namespace, "asks")
        assert watch.wait_terminal(job.pod_name(1)).exit_code == 76
        wait_waiting(job)
        condition = job.condition("Waiting")
        assert condition["reason"] == "SignalWait"
        assert "waits for the signal 'approval' until 20" in condition["message"]
        assert job.status["phase"] == "Waiting"
        assert job.status["active"] == 0
        assert job.status["nextAttemptTime"] > datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        [line] = [line for line in job.status["summary"] if line.startswith("approval")]
        assert "Waiting" in line
        with capsys.disabled():
            print("\n" + job.describe().split("Status:", 1)[1])

        cluster.apply(signal("yes", job.name), namespace=namespace)
        sent = time.monotonic()
        created = watch.wait_created(job.pod_name(2))
        job.wait_complete()

    assert job.log.effects("answered")[0].details | {"process": "", "release": ""} == {
        "approved": True,
        "rows": [1, 2],
        "sender": "ResumableSignal/yes",
        "signal": f"{namespace}/yes",
        "process": "",
        "release": "",
    }
    assert [effect.name for effect in job.log.effects()] == ["prepare", "answered", "report"]
    assert job.counters == {"failures": 0, "interruptions": 0, "resumes": 1}
    assert job.condition("Waiting")["status"] == "False"
    status = wait_delivered(cluster, namespace, "yes")["status"]
    assert status["conditions"][0]["reason"] == "Sent"
    assert status["runID"] == job.get()["metadata"]["uid"]
    with capsys.disabled():
        print(f"signal applied → next pod created: {(created.at - sent) * 1000:.0f} ms")
    assert created.at - sent < BOUND_SECONDS


def test_a_signal_sent_straight_to_the_store_brings_the_pod_back(
    cluster: Cluster, installed: Installed, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with PodWatch(cluster, namespace) as watch:
        job = start(cluster, namespace, "remote")
        wait_waiting(job)
        payload = Encoded("json", json.dumps({"approved": False, "rows": []}).encode())
        with installed.store() as store:
            sent_signal = NewSignal(id="cli-1", name="approval", payload=payload, sender="kim")
            assert isinstance(store.send_signal(job.get()["metadata"]["uid"], sent_signal), Sent)
            sent = time.monotonic()
            created = watch.wait_created(job.pod_name(2))
        job.wait_complete()

    assert job.log.effects("report")[0].details["outcome"] == "refused"
    assert job.log.effects("answered")[0].details["sender"] == "kim"
    with capsys.disabled():
        print(f"\nsignal in the store → next pod created: {(created.at - sent) * 1000:.0f} ms")
    assert created.at - sent < BOUND_SECONDS


def test_a_signal_may_come_before_its_job_and_before_the_wait(cluster: Cluster, namespace: str) -> None:
    cluster.apply(signal("early", "later"), namespace=namespace)
    wait_delivered(cluster, namespace, "early", "Pending")
    job = start(cluster, namespace, "later")
    job.wait_complete()

    assert job.log.effects("report")[0].details["outcome"] == "approved"
    found = wait_delivered(cluster, namespace, "early")
    assert found["metadata"]["ownerReferences"][0]["uid"] == job.get()["metadata"]["uid"]


def test_a_sidecar_does_not_keep_the_pod_of_a_job_that_waits(cluster: Cluster, namespace: str) -> None:
    manifest = resumable_job("escorted", "waits.py")
    [worker] = manifest["spec"]["template"]["spec"]["containers"]
    wait_for_sigterm = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); signal.sigwait([15])"
    sidecar = {**worker, "name": "sidecar", "command": ["python", "-c", wait_for_sigterm]}
    manifest["spec"]["template"]["spec"]["containers"].append(sidecar)
    job = ResumableJob.start(cluster, namespace, manifest)
    wait_waiting(job)
    cluster.apply(signal("go-on", job.name), namespace=namespace)
    job.wait_complete()
    job.wait_no_live_pod()
    job.wait_causes("Waiting", "Completed")


def test_a_timer_brings_the_pod_back(cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    with PodWatch(cluster, namespace) as watch:
        job = start(cluster, namespace, "sleepy", timeout="8s", sleep="8s")
        due = []
        for attempt in (1, 2):
            assert watch.wait_terminal(job.pod_name(attempt)).exit_code == 76
            job.wait_condition("Waiting")
            due.append(datetime.fromisoformat(job.status["nextAttemptTime"]))
            watch.wait_created(job.pod_name(attempt + 1))
        now = datetime.now(UTC)
        job.wait_complete()

    assert job.log.effects("report")[0].details["outcome"] == "nobody answered"
    job.wait_causes("Waiting", "Waiting", "Completed")
    assert job.counters["failures"] == 0
    late = now - due[-1]
    with capsys.disabled():
        print(f"\ntimer due (whole seconds) → next pod seen: {late / timedelta(milliseconds=1):.0f} ms")
    assert late < timedelta(seconds=1 + BOUND_SECONDS)


def test_an_operator_that_was_away_catches_up_with_signals_and_timers(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    asks = start(cluster, namespace, "unheard")
    sleeps = start(cluster, namespace, "unwoken", timeout="10s")
    wait_waiting(asks)
    wait_waiting(sleeps)
    due = datetime.fromisoformat(sleeps.status["nextAttemptTime"])
    with installed.switched_off():
        cluster.apply(signal("meanwhile", asks.name), namespace=namespace)
        wait_for(lambda: datetime.now(UTC) > due, 30, "The moment did not come")
        assert asks.pod(2) is None
        assert sleeps.pod(2) is None
    asks.wait_complete()
    sleeps.wait_complete()

    assert asks.log.effects("report")[0].details["outcome"] == "approved"
    assert sleeps.log.effects("report")[0].details["outcome"] == "nobody answered"


def test_the_same_name_counts_once_and_a_run_that_is_over_refuses(cluster: Cluster, namespace: str) -> None:
    job = start(cluster, namespace, "once")
    wait_waiting(job)
    cluster.apply(signal("one", job.name), namespace=namespace)
    wait_delivered(cluster, namespace, "one")
    job.wait_complete()
    with pytest.raises(CommandFailed, match="can't be changed once it is made"):
        cluster.apply(signal("one", job.name, {"approved": False, "rows": []}), namespace=namespace)

    cluster.apply(signal("late", job.name), namespace=namespace)
    refused = wait_delivered(cluster, namespace, "late", "Refused")
    assert refused["status"]["conditions"][0]["reason"] == "RunEnded"

    job.kubectl("delete", "resumablejob", job.name)
    wait_for(lambda: not cluster.find_all("resumablesignals", namespace), 60, "The signals did not go with their job")


def test_a_waiting_job_can_be_suspended_and_cancelled_without_a_pod(cluster: Cluster, namespace: str) -> None:
    job = start(cluster, namespace, "tired")
    wait_waiting(job)
    job.patch({"suspend": True})
    job.wait_condition("Suspended")
    assert job.pod(2) is None
    job.patch({"cancel": True})
    job.wait_condition("Finished")
    assert job.pod(2) is None
