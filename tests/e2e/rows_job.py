"""The job of most tests, `jobs/rows.py`: slow, to be disturbed in the middle of a step, until it is told to hurry."""

from __future__ import annotations

from typing import Any

from tests.cluster import Cluster
from tests.e2e.manifests import Manifest, resumable_job
from tests.e2e.resumable_job import ResumableJob

ROWS = 2000  # a minute at the slow pace: more than any test waits for; a second or two when told to hurry
EVERY = 10  # rows between two saves


def rows_manifest(name: str, script: str = "rows.py", *, pause_ms: int = 30, **more: Any) -> Manifest:
    """The manifest; `more` as for `resumable_job`."""
    return resumable_job(name, script, input={"rows": ROWS, "every": EVERY, "pause_ms": pause_ms}, **more)


def start_rows(cluster: Cluster, namespace: str, name: str, script: str = "rows.py", **more: Any) -> ResumableJob:
    """The job, applied; `more` as for `resumable_job`."""
    return ResumableJob.start(cluster, namespace, rows_manifest(name, script, **more))
