"""What a person sees: `kubectl get`, `kubectl describe`, `kubectl wait`, Events."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.cluster import Cluster, wait_for
from tests.e2e.resumable_job import ResumableJob
from tests.e2e.rows_job import ROWS, start_rows


def test_what_kubectl_shows_of_a_job_from_its_start_to_its_end(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "shown")
    job.log.wait_for_rows(25, attempt=1)
    job.evict_pod(1)
    job.log.wait_for_rows(25, attempt=2)

    # In the middle: the running step, how far it got, and why the first attempt ended.
    running = wait_for_summary(job, r"import-rows +Running +2 +\d\d:\d\d:\d\d +\S+ +.*\d+/2000")
    assert re.search(r"prepare +Succeeded +1 +\d\d:\d\d:\d\d +\S+", running), running
    assert re.search(r"1 +shown-r1 +n[12] +75 +\S+ +\S+ +EvictionByEvictionAPI", running), running
    columns = job.kubectl("get", "rj", "shown")
    header, line = columns.splitlines()
    assert header.split() == ["NAME", "STATUS", "STEP", "PROGRESS", "INTERRUPTIONS", "FAILURES", "AGE"]
    assert re.match(r"shown +Running +import-rows +.*\d+% +1 +0 +\d+s", line), line

    # kubectl wait, started before the end, returns at the end.
    job.log.hurry()
    job.kubectl("wait", "--for=condition=Complete", "rj/shown", "--timeout=60s")
    job.kubectl("wait", "--for=condition=Finished", "rj/shown", "--timeout=1s")
    done = wait_for_summary(job, r"report +Succeeded +1 ")
    assert re.search(r"import-rows +Succeeded +2 +.*interrupted once", done), done
    assert re.search(r"shown +Succeeded ", job.kubectl("get", "rj", "shown"))
    wide = job.kubectl("get", "rj", "shown", "--output=wide").splitlines()[0]
    assert "ATTEMPT" in wide
    assert "MESSAGE" in wide
    assert "shown" in job.kubectl("get", "all")
    job.log.check_each_row_once(ROWS)


def test_each_transition_of_a_run_is_an_event(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "told", backoff={"initialSeconds": 1, "maxSeconds": 1})
    job.log.wait_for_rows(5, attempt=1)
    job.evict_pod(1)
    job.log.wait_for_rows(5, attempt=2)
    job.kill(2)
    job.log.hurry()
    job.wait_complete(within=timedelta(seconds=90))

    events = {event["reason"]: event["message"] for event in job.events()}
    words = " ".join(f"{reason}: {message}" for reason, message in events.items())
    assert "EvictionByEvictionAPI" in words
    assert any(event["type"] == "Warning" for event in job.events()), "the failure was no warning"
    assert len(job.events()) < 20, "an event for each step or row would drown the others"


def wait_for_summary(job: ResumableJob, pattern: str) -> str:
    """`kubectl describe` as soon as its summary has a line like this; the status is written every few seconds."""

    def described() -> str | None:
        text = job.describe()
        return text if re.search(pattern, text[text.index("Summary:") :]) else None

    return wait_for(described, 30, f"`kubectl describe` did not show a line like {pattern!r}", state=job.describe)
