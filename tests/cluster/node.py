"""A node: a containerd and a kubelet, apart from the other node's in everything that two on one machine could share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import yaml

from tests.cluster import files, paths, pki, topology
from tests.cluster.command import run
from tests.cluster.errors import CommandFailed, WaitTimeout
from tests.cluster.machine import KUBELET_SHARED
from tests.cluster.packages import CNI_PLUGINS
from tests.cluster.process import Daemon
from tests.cluster.topology import NodeLayout

PAUSE_IMAGE = "localhost/resumable-test-pause:1"
_CONTAINERD_NAMESPACE = "k8s.io"  # where the kubelet's containers and images are, as everywhere


def containerd(node: NodeLayout) -> Daemon:
    """The node's containerd; writes its configuration."""
    network = files.write(node.folder / "cni" / "10-ptp.conflist", json.dumps(_network(node)))
    file = files.write(node.folder / "containerd.toml", _containerd_config(node, network.parent))
    name = containerd_name(node)
    argv = (str(paths.bin_dir() / "containerd"), f"--config={file}")
    return Daemon(name, argv, paths.LOGS / f"{name}.log", (file, network))


def kubelet(node: NodeLayout, authority: pki.Authority) -> Daemon:
    """The node's kubelet; writes its configuration and its certificates."""
    client = authority.issue(f"node-{node.name}", f"system:node:{node.name}", ["system:nodes"])
    kubeconfig = authority.kubeconfig(node.folder / "kubelet.kubeconfig", client)
    # The machine's own resolv.conf may point at a resolver that pods can't reach.
    resolver = files.write(node.folder / "resolv.conf", f"nameserver {topology.DNS_SERVICE_ADDRESS}\n")
    file = files.write(node.folder / "kubelet.yaml", yaml.safe_dump(_kubelet_config(node, authority, resolver)))
    name = kubelet_name(node)
    argv = (
        str(paths.bin_dir() / "kubelet"),
        f"--config={file}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node.name}",
        f"--node-ip={topology.NODE_ADDRESS}",
        f"--root-dir={node.folder}/kubelet",
        f"--cert-dir={node.folder}/pki",
    )
    return Daemon(name, argv, paths.LOGS / f"{name}.log", (file, resolver))


def containerd_name(node: NodeLayout) -> str:
    """The daemon's name in the records."""
    return f"containerd-{node.name}"


def kubelet_name(node: NodeLayout) -> str:
    """The daemon's name in the records."""
    return f"kubelet-{node.name}"


def listening_kubelets() -> int:
    """How many kubelets have got past the one step that they must not take at the same time.

    Each removes the socket in the shared folder and listens on a new one; two at once, and one of them ends.
    """
    sockets = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(f" {KUBELET_SHARED}/kubelet.sock") for line in sockets)


def ports(node: NodeLayout) -> dict[str, int]:
    """The ports that must be free before the node can start."""
    return {
        kubelet_name(node): node.kubelet_port,
        f"{kubelet_name(node)} (health)": node.kubelet_health_port,
    }


def wait_for_containerd(node: NodeLayout, timeout: timedelta = timedelta(seconds=30)) -> None:
    """Returns as soon as containerd answers."""
    deadline = time.monotonic() + timeout.total_seconds()
    while True:
        try:
            ctr(node, "version")
            return
        except CommandFailed as error:
            if time.monotonic() > deadline:
                log = paths.LOGS / f"{containerd_name(node)}.log"
                raise WaitTimeout(
                    f"{containerd_name(node)} did not answer in {timeout} (log: {log}): {error}"
                ) from None
        time.sleep(0.05)


def ctr(node: NodeLayout, *arguments: str | Path) -> str:
    """Runs containerd's own command-line client on the node."""
    return run(
        paths.bin_dir() / "ctr",
        f"--address={node.containerd_socket}",
        f"--namespace={_CONTAINERD_NAMESPACE}",
        *arguments,
    )


def import_image(node: NodeLayout, archive: Path) -> None:
    """Loads an OCI archive into the node; a tag that it had moves to the new image."""
    ctr(node, "images", "import", archive)


def tag_image(node: NodeLayout, source: str, target: str) -> None:
    """Gives an image of the node one more name."""
    ctr(node, "images", "tag", "--force", source, target)


def remove_images(node: NodeLayout, obsolete: Callable[[str], bool]) -> None:
    """Removes the names that `obsolete` says, and then every image that has no name any more.

    The kubelet's own collection is switched off, since an image that it removed could not be pulled again.
    """
    listed = [line.split()[:3] for line in ctr(node, "images", "list").splitlines()[1:]]
    names = {name: digest for name, _, digest in listed}
    gone = {name for name in names if obsolete(name)}
    named = {digest for name, digest in names.items() if name not in gone and not name.startswith("sha256:")}
    gone |= {name for name, digest in names.items() if name.startswith("sha256:") and digest not in named}
    if gone:
        ctr(node, "images", "remove", *sorted(gone))


def container_process(node: NodeLayout, container_id: str) -> int | None:
    """The main process of a running container as the host sees it; None when it does not run."""
    for line in ctr(node, "tasks", "list").splitlines()[1:]:
        task, pid, status = line.split()[:3]
        if task == container_id and status == "RUNNING":
            return int(pid)
    return None


def _containerd_config(node: NodeLayout, cni: Path) -> str:
    # netns_mounts_under_state_dir: network namespaces then are mounts below our folder, and can't be taken for those
    # of another containerd when the cluster is cleaned up.
    return f"""\
version = 3
root = "{node.folder}/containerd"
state = "{node.folder}/state"

[grpc]
  address = "{node.containerd_socket}"

[ttrpc]
  address = "{node.containerd_socket}.ttrpc"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
  enable_cdi = false
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{CNI_PLUGINS}"]
    conf_dir = "{cni}"

  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def _network(node: NodeLayout) -> dict[str, object]:
    """A route to each pod through its own veth pair: unlike a bridge, that needs no br_netfilter in the kernel."""
    return {
        "cniVersion": "1.0.0",
        "name": node.network,
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(node.folder / "ipam"),
                    "ranges": [[{"subnet": node.pod_cidr}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _kubelet_config(node: NodeLayout, authority: pki.Authority, resolver: Path) -> dict[str, object]:
    serving = authority.issue(
        f"kubelet-{node.name}-serving", f"system:node:{node.name}", ["system:nodes"], serves=[topology.NODE_ADDRESS]
    )
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority.certificate_file)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "address": "0.0.0.0",
        "port": node.kubelet_port,
        "readOnlyPort": 0,
        "healthzPort": node.kubelet_health_port,
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "podLogsDir": str(node.folder / "pod-logs"),  # shared, each kubelet would delete the other's logs
        "clusterDNS": [topology.DNS_SERVICE_ADDRESS],
        "clusterDomain": topology.CLUSTER_DOMAIN,
        "resolvConf": str(resolver),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,  # kube-proxy makes what it needs
        "localStorageCapacityIsolation": False,
        "imageGCHighThresholdPercent": 100,  # an image that was collected could not be pulled again
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # A heartbeat every 2 s, so that a node that is merely slow is not taken for lost after 12 s.
        "nodeLeaseDurationSeconds": 8,
        "nodeStatusUpdateFrequency": "4s",
        "shutdownGracePeriod": "0s",
        "crashLoopBackOff": {"maxContainerRestartPeriod": "5s"},
    }
