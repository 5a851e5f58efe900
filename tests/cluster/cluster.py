"""`Cluster`: what tests do to the cluster, and what they ask it."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.cluster import bootstrap, cgroups, control_plane, lock, node, paths, pki, topology
from tests.cluster.addons import volumes
from tests.cluster.errors import ClusterError, CommandFailed
from tests.cluster.process import Process
from tests.cluster.waiting import wait_for

Manifest = Path | str | Mapping[str, Any] | Sequence[Mapping[str, Any]]

_JOBS = "resumablejobs.resumable.dev"
_TEST_NAMESPACE = "resumable-test/namespace"
_DELETION_LIMIT = timedelta(seconds=120)
_NODE_LOST_LIMIT = timedelta(seconds=45)


class Cluster:
    """A running cluster.

    Nodes are called `n1` and `n2`. Whatever a test does to a node or to the API server it should undo; `Cluster.up()`
    repairs what a killed test left.
    """

    kubeconfig: Path = paths.ADMIN_KUBECONFIG
    nodes: tuple[str, ...] = tuple(layout.name for layout in topology.NODES)

    @classmethod
    def up(cls) -> Cluster:
        """The cluster, after making sure that it runs and is healthy (see `bootstrap.up`)."""
        bootstrap.up()
        return cls()

    @classmethod
    def attach(cls) -> Cluster:
        """The cluster that runs already.

        Raises:
            ClusterError: none does.
        """
        try:
            bootstrap.api_is_ready()
        except (CommandFailed, FileNotFoundError):
            raise ClusterError("The test cluster does not run: start it with `make cluster-up`.") from None
        return cls()

    # Asking and telling the API server

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        """Runs kubectl as administrator and returns what it printed; raises `CommandFailed` with its words."""
        return bootstrap.kubectl(*arguments, input=input)

    def kubectl_json(self, *arguments: str) -> Any:
        """Runs kubectl with `--output=json` and returns the object (or the List)."""
        return json.loads(self.kubectl(*arguments, "--output=json"))

    def find(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """The object of this kind and name, or None when there is no such object."""
        where = [f"--namespace={namespace}"] if namespace else []
        text = self.kubectl("get", kind, name, *where, "--ignore-not-found", "--output=json")
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def find_all(self, kind: str, namespace: str | None = None, *, labels: str = "") -> list[dict[str, Any]]:
        """The objects of this kind, in one namespace or in all."""
        where = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
        items: list[dict[str, Any]] = self.kubectl_json("get", kind, *where, f"--selector={labels}")["items"]
        return items

    def apply(self, manifest: Manifest, *, namespace: str | None = None) -> str:
        """Applies a manifest: a Path to a file or folder, YAML or JSON as text, an object, or several objects."""
        where = [f"--namespace={namespace}"] if namespace else []
        if isinstance(manifest, Path):
            return self.kubectl("apply", *where, f"--filename={manifest}")
        if isinstance(manifest, Mapping):
            manifest = json.dumps(manifest)
        elif not isinstance(manifest, str):
            manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifest)})
        return self.kubectl("apply", *where, "--filename=-", input=manifest)

    @contextmanager
    def namespace(self, prefix: str = "test", *, pod_security: str = "restricted") -> Iterator[str]:
        """A namespace of a unique name, deleted afterwards; its pods are gone when this ends, the rest soon after.

        Args:
            prefix: how the name begins.
            pod_security: the Pod Security level that is enforced in it.
        """
        name = f"{prefix}-{secrets.token_hex(3)}"
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": name,
                    "labels": {"pod-security.kubernetes.io/enforce": pod_security, _TEST_NAMESPACE: "true"},
                },
            }
        )
        wait_for(
            lambda: self.find("serviceaccount", "default", name), 30, f"Namespace {name} got no default ServiceAccount"
        )
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")
            # Kubernetes begins with a namespace's objects only after 5 s; it takes no new ones from now on.
            for kind in (_JOBS, "pods"):
                with suppress(CommandFailed):  # on a cluster without the operator there is no such kind
                    self.kubectl("delete", kind, "--all", f"--namespace={name}", "--wait=false")
            wait_for(
                lambda: not self.find_all("pods", name),
                _DELETION_LIMIT,
                f"The pods of namespace {name} were not deleted with it",
                state=lambda: self.kubectl("get", "pods", f"--namespace={name}", "--output=wide"),
            )
            self.recycle_volumes()

    def wait_for_deleted_namespaces(self) -> None:
        """Waits until nothing is left of the namespaces of earlier tests.

        Raises:
            WaitTimeout: something holds one, such as a finalizer that nobody removes; the message names it.
        """

        def remaining() -> dict[str, Any]:
            found = self.kubectl_json("get", "namespaces", f"--selector={_TEST_NAMESPACE}")["items"]
            return {item["metadata"]["name"]: item["status"] for item in found if item["status"]["phase"] != "Active"}

        wait_for(lambda: not remaining(), _DELETION_LIMIT, "Deleted namespaces were not gone", state=remaining)
        self.recycle_volumes()

    def recycle_volumes(self) -> int:
        """Empties the volumes whose claims are gone and offers them to new claims; returns how many."""
        return volumes.recycle(self.kubectl)

    # Disturbing nodes

    def cordon(self, name: str) -> None:
        """No new pods for this node."""
        self.kubectl("cordon", topology.node(name).name)

    def uncordon(self, name: str) -> None:
        """The node takes pods again."""
        self.kubectl("uncordon", topology.node(name).name)

    def drain(self, name: str, *, timeout: timedelta = timedelta(seconds=120)) -> str:
        """`kubectl drain`: cordons the node, evicts its pods by the eviction API, and returns when they are gone."""
        return self.kubectl(
            "drain",
            topology.node(name).name,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--force",
            f"--timeout={timeout.total_seconds():.0f}s",
        )

    def stop_node(self, name: str, *, wait: bool = False) -> None:
        """Freezes the node's kubelet: to Kubernetes the node is lost, while its containers run on.

        Args:
            name: the node.
            wait: return only when the node is no longer Ready (12 s later).
        """
        self._kubelet(name).send(signal.SIGSTOP)
        if wait:
            self.wait_node(name, ready=False)

    def continue_node(self, name: str, *, wait: bool = True) -> None:
        """Thaws the kubelet of a stopped node; with `wait`, returns when the node is Ready."""
        self._kubelet(name).send(signal.SIGCONT)
        if wait:
            self.wait_node(name, ready=True)

    def wait_node(self, name: str, *, ready: bool) -> None:
        """Waits until the node is, or is no longer, Ready."""
        wait_for(
            lambda: self.node_is_ready(name) == ready,
            _NODE_LOST_LIMIT,
            f"Node {name} did not become {'Ready' if ready else 'NotReady'}",
            state=lambda: self.kubectl("get", "node", name, "--output=jsonpath={.status.conditions}"),
        )

    def node_is_ready(self, name: str) -> bool:
        """Whether the API server takes the node for Ready."""
        query = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        return self.kubectl("get", "node", topology.node(name).name, query) == "True"

    # Disturbing containers, from outside: neither the pod nor Kubernetes is asked

    def container_process(self, namespace: str, pod: str, container: str | None = None) -> int:
        """The id, on this machine, of a container's main process.

        Args:
            namespace: the pod's namespace.
            pod: the pod's name.
            container: default: the pod's first.

        Raises:
            ClusterError: the container does not run.
        """
        found = self.kubectl_json("get", "pod", pod, f"--namespace={namespace}")
        wanted = container or found["spec"]["containers"][0]["name"]
        statuses = found["status"].get("containerStatuses", [])
        container_id = next((status.get("containerID", "") for status in statuses if status["name"] == wanted), "")
        if container_id:
            layout = topology.node(found["spec"]["nodeName"])
            pid = node.container_process(layout, container_id.removeprefix("containerd://"))
            if pid is not None:
                return pid
        raise ClusterError(f"Container {wanted} of pod {namespace}/{pod} does not run; its statuses: {statuses}")

    def kill_container(self, namespace: str, pod: str, container: str | None = None, signal: str = "KILL") -> None:
        """Sends a signal to the container's main process, as a person on the node would (`kill -9`)."""
        os.kill(self.container_process(namespace, pod, container), _signal(signal))

    def pod_processes(self, uid: str) -> list[int]:
        """The processes of the pod with this UID; also of one that the API server knows no more."""
        return cgroups.processes_of_pod(uid)

    # Disturbing the control plane

    def stop_api_server(self) -> None:
        """Ends the API server at once, as a crash would; pods run on, nothing can be asked or told."""
        with lock.held(lock.CHANGING):
            bootstrap.supervisor().stop(control_plane.API_SERVER, grace=timedelta(0))

    def start_api_server(self) -> None:
        """Starts the API server again and waits until it is ready."""
        with lock.held(lock.CHANGING):
            authority = pki.Authority(paths.RUN / "pki")
            daemons = {daemon.name: daemon for daemon in control_plane.daemons(authority)}
            bootstrap.supervisor().start(daemons[control_plane.API_SERVER], bootstrap.environment())
        wait_for(bootstrap.api_is_ready, 60, "The API server was not ready")

    # Images

    def tag_image(self, source: str, target: str) -> None:
        """Gives an image of the nodes one more name, as if it had been pushed under it (for a rollout)."""
        for layout in topology.NODES:
            node.tag_image(layout, source, target)

    @staticmethod
    def _kubelet(name: str) -> Process:
        process = bootstrap.supervisor().find(node.kubelet_name(topology.node(name)))
        if process is None:
            raise ClusterError(f"The kubelet of {name} does not run: see {paths.LOGS}, then `make cluster-up`.")
        return process


def _signal(name: str) -> signal.Signals:
    full = name if name.startswith("SIG") else f"SIG{name}"
    if full not in signal.Signals.__members__:
        raise ValueError(f"There is no signal {name!r}; examples: KILL, TERM, STOP, CONT.")
    return signal.Signals[full]
