"""How long nothing runs: from a pod's end to the creation of the next."""

from __future__ import annotations

import statistics

import pytest

from tests.cluster import Cluster
from tests.e2e.pod_watch import PodWatch
from tests.e2e.rows_job import ROWS, start_rows

DELETIONS = 10
BOUND_SECONDS = 5.0  # far above what is measured: a test is no benchmark


def test_the_next_pod_is_created_within_a_moment_of_the_ends_of_ten(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gaps = []
    with PodWatch(cluster, namespace) as watch:
        job = start_rows(cluster, namespace, "quick", interruptions={"maxWithoutProgress": DELETIONS})
        for attempt in range(1, DELETIONS + 1):
            job.log.wait_for_rows(1, attempt=attempt)
            job.delete_pod(attempt)
            ended = watch.wait_terminal(job.pod_name(attempt))
            created = watch.wait_created(job.pod_name(attempt + 1))
            gaps.append(created.at - ended.at)
        job.log.wait_for_rows(1, attempt=DELETIONS + 1)
        job.log.hurry()
        job.wait_complete()

    job.log.check_each_row_once(ROWS)
    ms = sorted(round(gap * 1000) for gap in gaps)
    with capsys.disabled():
        print(f"\npod terminal → next pod created: p50 {statistics.median(ms):.0f} ms, max {ms[-1]} ms, all {ms}")
    assert max(gaps) < BOUND_SECONDS
