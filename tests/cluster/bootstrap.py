"""From nothing, or from whatever an earlier run left, to a healthy cluster; and back to nothing."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from tests.cluster import cgroups, control_plane, lock, machine, node, packages, paths, pki, toolchain
from tests.cluster.addons import volumes
from tests.cluster.command import run
from tests.cluster.errors import ClusterError
from tests.cluster.images import buildah, own
from tests.cluster.images.loading import load
from tests.cluster.images.store import Image
from tests.cluster.process import Daemon, Supervisor, end
from tests.cluster.progress import say, slowly
from tests.cluster.topology import NODES, NodeLayout
from tests.cluster.waiting import wait_for

_FINGERPRINT = paths.RUN / "fingerprint"
_START_LIMIT = timedelta(seconds=120)
_REPAIR_LIMIT = timedelta(seconds=60)
# A proxy of the machine could not reach the cluster's addresses.
NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}
_STOP_GRACE = timedelta(seconds=0.3)  # nothing of a cluster that is stopped is worth a tidy end


@dataclass(frozen=True)
class _Plan:
    """The daemons of this version of the harness; making it writes their configuration and certificates."""

    etcd: Daemon
    api_server: Daemon
    clients: list[Daemon]
    containerds: list[Daemon]
    kubelets: list[Daemon]

    @classmethod
    def make(cls) -> _Plan:
        authority = pki.Authority(paths.RUN / "pki")
        authority.kubeconfig(paths.ADMIN_KUBECONFIG, authority.issue("admin", "kubernetes-admin", ["system:masters"]))
        etcd, api_server, *clients = control_plane.daemons(authority)
        containerds = [node.containerd(layout) for layout in NODES]
        return cls(etcd, api_server, clients, containerds, [node.kubelet(layout, authority) for layout in NODES])

    @property
    def everything(self) -> list[Daemon]:
        return [self.etcd, self.api_server, *self.clients, *self.containerds, *self.kubelets]

    @property
    def fingerprint(self) -> str:
        """Changes with the programs, their commands and their configuration: an older cluster then is replaced."""
        digest = hashlib.sha256(toolchain.key().encode())
        for daemon in self.everything:
            digest.update(repr(daemon.argv).encode())
            for file in daemon.configuration:
                digest.update(file.read_bytes())
        return digest.hexdigest()


def up() -> None:
    """Makes sure that a healthy cluster runs: reuses a healthy one, repairs a damaged one, replaces a hopeless one.

    Raises:
        ClusterError: something is missing on this machine, or the cluster does not become healthy; the message names
            the log to look into.
    """
    packages.ensure()
    toolchain.ensure()
    own.ensure()
    with lock.held(lock.CHANGING):
        if not (_FINGERPRINT.exists() and _reuse()):
            _replace()
        _make_schedulable()
        volumes.recycle(kubectl)


def down(*, force: bool = False) -> None:
    """Stops the cluster and takes back everything that it changed on this machine; also after a crash.

    Raises:
        ClusterError: a test session uses the cluster (and not `force`), or something could not be taken back.
    """
    packages.require_root()
    user = lock.holder(lock.TESTING)
    if user is not None and user != str(os.getpid()) and not force:
        raise ClusterError(
            f"The test session with process id {user} uses the cluster. Wait for its end, or add --force."
        )
    with lock.held(lock.CHANGING):
        if not paths.RUN.exists():
            say("no cluster runs")
            return
        _stop()
        if left := machine.remains():
            raise ClusterError("The cluster was stopped, but this is left of it:\n  " + "\n  ".join(left))


def supervisor() -> Supervisor:
    """The keeper of the cluster's daemons."""
    return Supervisor(paths.RUN / "daemons.json")


def environment() -> dict[str, str]:
    """The environment of the daemons: the machine's, with the cluster's programs first in PATH."""
    return {**os.environ, "PATH": packages.search_path(), **NO_PROXY}


def kubectl(*arguments: str, input: str | None = None) -> str:
    """Runs kubectl as the cluster's administrator."""
    kubeconfig = f"--kubeconfig={paths.ADMIN_KUBECONFIG}"
    return run(paths.bin_dir() / "kubectl", kubeconfig, *arguments, input=input, env=NO_PROXY)


def api_is_ready() -> bool:
    """Whether the API server answers; raises CommandFailed with its words while it does not."""
    return kubectl("get", "--raw=/readyz").strip() == "ok"


def _reuse() -> bool:
    """Repairs the cluster that is there; False: that can't be done."""
    try:
        plan = _Plan.make()
        if _FINGERPRINT.read_text() != plan.fingerprint:
            say("the running cluster was started by another version of this harness: replacing it")
            return False
        _start(plan, _REPAIR_LIMIT)
    except ClusterError as error:
        say(f"the running cluster can't be repaired: replacing it ({error})")
        return False
    return True


def _replace() -> None:
    started = time.monotonic()
    if machine.has_foreign_kube_proxy():
        raise ClusterError(
            "Another Kubernetes runs on this machine: its kube-proxy's chains (KUBE-SERVICES) are in the firewall, "
            "where ours would go. Stop it, or run the tests on another machine."
        )
    _stop()
    _check_ports()
    paths.RUN.mkdir(parents=True, mode=0o755)
    plan = _Plan.make()
    with slowly("starting the cluster"):
        _start(plan, _START_LIMIT)
    _FINGERPRINT.write_text(plan.fingerprint)
    say(f"ready after {time.monotonic() - started:.1f} s, kubeconfig {paths.ADMIN_KUBECONFIG}")


def _start(plan: _Plan, limit: timedelta) -> None:
    """Starts what does not run, thaws what is frozen, and returns when all of it is ready."""
    deadline = time.monotonic() + limit.total_seconds()

    def remaining() -> timedelta:
        return timedelta(seconds=max(1.0, deadline - time.monotonic()))

    machine.prepare()
    for daemon in (plan.etcd, plan.api_server, *plan.containerds):
        _ensure(daemon)
    with ThreadPoolExecutor() as pool:  # the images are loaded while the API server starts
        images = own.ensure()
        loading = [pool.submit(_prepare_node, layout, images) for layout in NODES]
        _await(api_is_ready, remaining(), "The API server was not ready", [plan.etcd, plan.api_server])
        for future in loading:
            future.result()
    for daemon in plan.clients:
        _ensure(daemon)
    for number, daemon in enumerate(plan.kubelets, start=1):
        _ensure(daemon)
        _await(partial(_kubelets_listen, number), remaining(), f"{daemon.name} did not start", [daemon])
    _apply_addons()
    _await(_nodes_are_ready, remaining(), "Not all nodes were Ready", plan.everything)
    _await(_dns_is_ready, remaining(), "CoreDNS was not ready", plan.everything)


def _stop() -> None:
    """Ends everything, in an order in which nothing starts again what was ended."""
    daemons = supervisor()
    if daemons.names():
        say("stopping the cluster")
    for name in sorted(daemons.names(), key=lambda name: not name.startswith("kubelet")):
        if not name.startswith(("containerd", "etcd")):
            daemons.stop(name, grace=_STOP_GRACE)
    for layout in NODES:
        cgroups.kill_all(layout.cgroup)
    for name in daemons.names():
        daemons.stop(name, grace=_STOP_GRACE)
    end(daemons.strays(), grace=_STOP_GRACE)
    for layout in NODES:  # what a shim that was still alive may have started
        cgroups.kill_all(layout.cgroup)
    buildah.release_mounts()
    machine.restore()


def _ensure(daemon: Daemon) -> None:
    running = supervisor().find(daemon.name)
    if running is not None and running.frozen:
        say(f"{daemon.name} was frozen: thawing it")
        running.send(signal.SIGCONT)
    elif running is None:
        if _FINGERPRINT.exists():
            say(f"{daemon.name} does not run: starting it")
        supervisor().start(daemon, environment())


def _prepare_node(layout: NodeLayout, images: list[Image]) -> None:
    node.wait_for_containerd(layout)
    load(layout, images)


def _apply_addons() -> None:
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={Path(__file__).parent}/addons/coredns.yaml")
    if len(kubectl("get", "persistentvolumes", "--output=name").split()) < volumes.STOCK:
        kubectl("apply", "--server-side", "--filename=-", input=volumes.manifest())


def _await(condition: Callable[[], bool], limit: timedelta, message: str, needed: list[Daemon]) -> None:
    """Waits, but gives up at once when a daemon that is needed for it has died."""

    def check() -> bool:
        for daemon in needed:
            if supervisor().find(daemon.name) is None:
                raise ClusterError(f"{daemon.name} has ended. The end of its log {daemon.log}:\n{_tail(daemon.log)}")
        return condition()

    try:
        wait_for(check, limit, message)
    except ClusterError as error:
        raise ClusterError(f"{error}\nThe daemons' logs are in {paths.LOGS}.") from None


def _kubelets_listen(number: int) -> bool:
    return node.listening_kubelets() >= number


def _nodes_are_ready() -> bool:
    query = '--output=jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {end}'
    return kubectl("get", "nodes", query).split() == ["True"] * len(NODES)


def _dns_is_ready() -> bool:
    query = "--output=jsonpath={.status.numberReady}"
    return kubectl("get", "daemonset", "coredns", "--namespace=kube-system", query) == str(len(NODES))


def _make_schedulable() -> None:
    """A test that was killed may have left a node cordoned; while another test session runs, that is its own affair."""
    if lock.holder(lock.TESTING) in (None, str(os.getpid())):
        kubectl("uncordon", *(layout.name for layout in NODES))


def _check_ports() -> None:
    wanted = {**control_plane.ports(), **{name: port for layout in NODES for name, port in node.ports(layout).items()}}
    taken = [f"{port} (for {name})" for name, port in wanted.items() if machine.port_is_taken(port)]
    if taken:
        raise ClusterError(
            f"Another process listens on these ports of the test cluster: {', '.join(taken)}. "
            "`ss -ltnp` shows which; end it, or change the ports in tests/cluster/topology.py."
        )


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
