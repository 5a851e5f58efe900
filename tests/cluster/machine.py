"""What the cluster changes on the machine outside its own folder, and how all of it is taken back."""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from tests.cluster import cgroups, files, packages, paths
from tests.cluster.command import run
from tests.cluster.errors import ClusterError, CommandFailed
from tests.cluster.topology import NODE_ADDRESS, NODES, POD_CIDR

_FORWARD_CHAIN = "RESUMABLE-TEST"
_ADDRESS = f"{NODE_ADDRESS}/32"
_FIREWALLS = ("iptables", "ip6tables")  # kube-proxy makes its chains in both
KUBELET_SHARED = Path("/var/lib/kubelet/device-plugins")  # a path that the kubelet does not let be changed
_NETWORK_RESULTS = Path("/var/lib/cni/results")
_IP_FORWARD = "net/ipv4/ip_forward"
# What kubelet, kube-proxy and the CNI plugin set without asking.
_KERNEL_SETTINGS = (
    _IP_FORWARD,
    "net/ipv4/conf/all/route_localnet",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
)
_REMEMBERED = paths.RUN / "kernel-settings.json"


def prepare() -> None:
    """Gives the nodes their address and control groups, and lets pods talk to each other."""
    if NODE_ADDRESS not in _addresses():
        _run("ip", "address", "add", _ADDRESS, "dev", "lo")
    if not _REMEMBERED.exists():
        settings = {name: _kernel_setting(name).read_text().strip() for name in _KERNEL_SETTINGS}
        files.write(_REMEMBERED, json.dumps(settings, indent=1))
    _kernel_setting(_IP_FORWARD).write_text("1")
    # Where another container engine made DROP the policy of FORWARD, pods would not reach each other.
    with suppress(CommandFailed):
        _run("iptables", "-w", "-N", _FORWARD_CHAIN)
    _run("iptables", "-w", "-F", _FORWARD_CHAIN)
    for side in ("-s", "-d"):
        _run("iptables", "-w", "-A", _FORWARD_CHAIN, side, POD_CIDR, "-j", "ACCEPT")
    try:
        _run("iptables", "-w", "-C", "FORWARD", "-j", _FORWARD_CHAIN)
    except CommandFailed:
        _run("iptables", "-w", "-I", "FORWARD", "-j", _FORWARD_CHAIN)
    for node in NODES:
        cgroups.create(node.cgroup)


def restore() -> None:
    """Takes back everything that `prepare`, kube-proxy, the CNI plugin and containerd left; also after a crash.

    Nothing of the cluster may run any more.
    """
    _remove_shim_sockets()
    _remove_network_results()
    _remove_kubelet_sockets()
    unmount_below(paths.RUN)
    for node in NODES:
        cgroups.remove(node.cgroup)
    _remove_firewall_rules()
    if NODE_ADDRESS in _addresses():
        _run("ip", "address", "del", _ADDRESS, "dev", "lo")
    if _REMEMBERED.exists():
        for name, value in json.loads(_REMEMBERED.read_text()).items():
            _kernel_setting(name).write_text(value)
    shutil.rmtree(paths.RUN, ignore_errors=True)
    if paths.RUN.exists():
        raise ClusterError(f"{paths.RUN} can't be removed: {remains()}")


def remains() -> list[str]:
    """What is still there of a cluster that was stopped: empty, if all is well."""
    left = [f"mount {mount}" for mount in mounts_below(paths.RUN)]
    left += [f"control group {group}" for node in NODES for group in cgroups.remains(node.cgroup)]
    if NODE_ADDRESS in _addresses():
        left.append(f"address {_ADDRESS} on lo")
    left += [f"firewall rule {rule}" for command in _FIREWALLS for rule in _rules(command) if _is_ours(rule)]
    if paths.RUN.exists():
        left.append(f"folder {paths.RUN}")
    return left


def mounts_below(folder: Path) -> list[str]:
    """The mount points below a folder, the innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True)


def unmount_below(folder: Path) -> None:
    """Unmounts everything below a folder: root file systems, volumes and the pods' network namespaces."""
    for point in mounts_below(folder):
        with suppress(CommandFailed):  # a mount that went away with the one below it
            _run("umount", "--lazy", point)


def port_is_taken(port: int) -> bool:
    """Whether some process of the machine listens on this TCP port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def has_foreign_kube_proxy() -> bool:
    """Whether the firewall has a kube-proxy's chains while no cluster of ours runs: two would destroy each other's."""
    return not paths.RUN.exists() and any(":KUBE-SERVICES" in rule for rule in _rules("iptables"))


def _remove_firewall_rules() -> None:
    """Removes kube-proxy's chains and ours. `kube-proxy --cleanup` would leave some, and their jumps."""
    for command in _FIREWALLS:
        rules = _rules(command)
        kept = [rule for rule in rules if not _is_ours(rule)]
        if kept != rules:
            run(f"{command}-restore", input="\n".join([*kept, ""]), env={"PATH": packages.search_path()})


def _rules(command: str) -> list[str]:
    if not shutil.which(f"{command}-save", path=packages.search_path()):
        return []
    return _run(f"{command}-save").splitlines()


def _is_ours(rule: str) -> bool:
    return "KUBE-" in rule or _FORWARD_CHAIN in rule


def _remove_shim_sockets() -> None:
    """Removes the sockets of the containerd shims, which they keep in a folder that all containerds share."""
    for record in paths.RUN.glob("*/state/io.containerd.runtime.v2.task/*/*/bootstrap.json"):
        address = json.loads(record.read_text()).get("address", "")
        if address.startswith("unix:///"):
            Path(address.removeprefix("unix://")).unlink(missing_ok=True)


def _remove_kubelet_sockets() -> None:
    """Removes what kubelets keep in a fixed folder, unless another one uses it (its `pods` folder would be there)."""
    if not (KUBELET_SHARED.parent / "pods").exists():
        shutil.rmtree(KUBELET_SHARED, ignore_errors=True)
        with suppress(OSError):
            KUBELET_SHARED.parent.rmdir()


def _remove_network_results() -> None:
    """Removes what the CNI library remembers of our pods, also in a folder that all share."""
    for node in NODES:
        for result in _NETWORK_RESULTS.glob(f"{node.network}-*"):
            container = result.name.removeprefix(f"{node.network}-").rpartition("-")[0]
            result.unlink(missing_ok=True)
            (_NETWORK_RESULTS / f"cni-loopback-{container}-lo").unlink(missing_ok=True)


def _kernel_setting(name: str) -> Path:
    return Path("/proc/sys") / name


def _addresses() -> str:
    return _run("ip", "-oneline", "address", "show", "dev", "lo")


def _run(*argv: str | Path) -> str:
    return run(*argv, env={"PATH": packages.search_path()})
