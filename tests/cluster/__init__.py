"""A real Kubernetes for the tests, built from source and run on this one machine.

    python -m tests.cluster up

builds what is missing (cached outside the checkout) and starts etcd, the control plane, kube-proxy, CoreDNS and two
nodes, each a kubelet with a containerd of its own, so that pods are real containers. Tests use `Cluster`:

    cluster = Cluster.up()
    with cluster.namespace("train") as namespace:
        cluster.apply("job.yaml", namespace=namespace)
        cluster.drain("n1")

One machine holds one such cluster, shared by all checkouts; `tests.cluster.pytest_plugin` has the fixtures.
"""

from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError, CommandFailed, WaitTimeout
from tests.cluster.waiting import wait_for

__all__ = ["Cluster", "ClusterError", "CommandFailed", "WaitTimeout", "wait_for"]
