"""Who may answer a job that waits: the chart's role for approvers, in a namespace of a tenant."""

from __future__ import annotations

import json

import pytest

from tests.cluster import Cluster, CommandFailed
from tests.e2e.manifests import resumable_job
from tests.e2e.resumable_job import ResumableJob
from tests.e2e.test_waits import signal, wait_delivered, wait_waiting

APPROVER = "approver"


def test_an_approver_may_send_signals_and_change_nothing_about_a_job(cluster: Cluster, namespace: str) -> None:
    roles = [each["metadata"]["name"] for each in cluster.find_all("clusterroles")]
    [role] = [name for name in roles if name.endswith("-signaler")]
    user = f"--as=system:serviceaccount:{namespace}:{APPROVER}"
    job = ResumableJob.start(cluster, namespace, resumable_job("guarded", "waits.py"))
    job.kubectl("create", "serviceaccount", APPROVER)
    job.kubectl("create", "rolebinding", APPROVER, f"--clusterrole={role}", f"--serviceaccount={namespace}:{APPROVER}")
    wait_waiting(job)

    for refused in (
        ("patch", "resumablejob", job.name, "--type=merge", '--patch={"spec":{"cancel":true}}'),
        ("delete", "resumablejob", job.name),
        ("create", "configmap", "x"),
    ):
        with pytest.raises(CommandFailed, match="forbidden"):
            job.kubectl(*refused, user)
    assert job.name in job.kubectl("get", "resumablejobs", user)
    cluster.kubectl(
        "create", "--filename=-", user, f"--namespace={namespace}", input=json.dumps(signal("by-approver", job.name))
    )
    wait_delivered(cluster, namespace, "by-approver")
    job.kubectl("wait", "--for=condition=Delivered", "resumablesignal/by-approver", "--timeout=10s")
    job.wait_complete()
