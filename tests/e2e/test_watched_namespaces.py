"""An installation that looks after chosen namespaces, with rights in these only."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cluster import Cluster, paths, wait_for
from tests.cluster.errors import CommandFailed
from tests.cluster.install import helm
from tests.e2e.installed import CONTROLLER, Installed
from tests.e2e.rows_job import ROWS, start_rows

_RELEASE = "narrow"
_CHART = paths.CHECKOUT / "charts" / "resumable-jobs"


def test_with_rights_in_one_namespace_a_job_runs_there_from_start_to_end(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    image = installed.pods(CONTROLLER)[0]["spec"]["containers"][0]["image"]
    repository, _, tag = image.rpartition(":")
    with installed.switched_off():
        helm(
            "install",
            _RELEASE,
            _CHART,
            f"--namespace={namespace}",
            f"--set=watchNamespaces={{{namespace}}}",
            f"--set=image.repository={repository}",
            f"--set-string=image.tag={tag}",
            "--set=image.pullPolicy=Never",
            "--wait",
            "--timeout=90s",
        )
        try:
            job = start_rows(cluster, namespace, "inside")
            job.log.wait_for_rows(5, attempt=1)
            job.evict_pod(1)
            job.log.wait_for_rows(1, attempt=2)
            job.log.hurry()
            job.wait_complete()
            job.log.check_each_row_once(ROWS)
            wanted = {"Started", "Interrupted", "Resumed", "Complete"}
            wait_for(
                lambda: wanted <= {event["reason"] for event in job.events()},
                timedelta(seconds=15),
                "Not each transition became an Event",
                state=job.events,
            )
            with pytest.raises(CommandFailed):
                cluster.kubectl(
                    "auth",
                    "can-i",
                    "list",
                    "pods",
                    "--namespace=default",
                    f"--as=system:serviceaccount:{namespace}:{_RELEASE}-controller",
                )
        finally:
            helm("uninstall", _RELEASE, f"--namespace={namespace}", "--wait")
