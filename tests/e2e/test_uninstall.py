"""`helm uninstall` in the middle of the work."""

from __future__ import annotations

from datetime import timedelta

from resumable.resource.names import FINALIZER
from tests.cluster import Cluster
from tests.cluster.install import RELEASE, helm, install
from tests.e2e.rows_job import ROWS, start_rows


def test_after_an_uninstallation_nothing_hangs_and_a_new_installation_goes_on(cluster: Cluster, namespace: str) -> None:
    kept = start_rows(cluster, namespace, "kept")
    unwanted = start_rows(cluster, namespace, "unwanted")
    for job in (kept, unwanted):
        job.log.wait_for_rows(5, attempt=1)

    helm("uninstall", RELEASE, "--wait")
    try:
        for held in [kept.get(), unwanted.get(), *kept.pods(), *unwanted.pods()]:
            assert FINALIZER not in held["metadata"].get("finalizers", []), held["metadata"]["name"]
        unwanted.kubectl("delete", "resumablejob", "unwanted", "--timeout=30s")  # would hang
    finally:
        install()

    kept.log.hurry()
    kept.wait_complete(within=timedelta(minutes=3))  # the Lease that the uninstallation seized runs out meanwhile
    kept.log.check_each_row_once(ROWS)
    assert kept.status["attempt"] == 1, "the worker waited for the state service; nobody had to start another"
    assert FINALIZER in kept.get()["metadata"]["finalizers"]
