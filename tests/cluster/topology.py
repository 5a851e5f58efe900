"""The cluster's names, addresses and ports: all of them, in one place.

The ports are unusual ones, so that the cluster can run beside another Kubernetes of the same machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster import paths

API_SERVER_PORT = 26443
ETCD_CLIENT_PORT = 22379
ETCD_PEER_PORT = 22380
CONTROLLER_MANAGER_PORT = 20257
SCHEDULER_PORT = 20259
KUBE_PROXY_HEALTH_PORT = 20256
KUBE_PROXY_METRICS_PORT = 20249

NODE_ADDRESS = "10.240.0.1"  # of both nodes: an address on `lo`, since not every kernel has dummy network devices
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
POD_CIDR = "10.244.0.0/16"
CLUSTER_DOMAIN = "cluster.local"


@dataclass(frozen=True)
class NodeLayout:
    """Where one node has its files, ports and addresses."""

    name: str
    index: int

    @property
    def folder(self) -> Path:
        return paths.RUN / self.name

    @property
    def containerd_socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def network(self) -> str:
        """The name of the node's pod network."""
        return f"resumable-test-{self.name}"

    @property
    def pod_cidr(self) -> str:
        return f"10.244.{self.index}.0/24"

    @property
    def kubelet_port(self) -> int:
        return 20200 + 10 * self.index

    @property
    def kubelet_health_port(self) -> int:
        return self.kubelet_port + 1

    @property
    def cgroup(self) -> str:
        """The name, in every hierarchy, of the control group that holds all pods of this node."""
        return f"resumable-test-{self.name}"


NODES = (NodeLayout("n1", 1), NodeLayout("n2", 2))


def node(name: str) -> NodeLayout:
    """The node called `name`; a ValueError names the ones there are."""
    for layout in NODES:
        if layout.name == name:
            return layout
    raise ValueError(f"There is no node {name!r}; the nodes are {', '.join(n.name for n in NODES)}.")
