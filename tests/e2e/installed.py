"""The operator as Helm installed it: where its parts run, and how to hurt them."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from resumable.resource.names import TOKEN_AUDIENCE
from resumable.state.open import open_store
from resumable.state.store import Store
from tests.cluster import Cluster, wait_for

NAMESPACE = "resumable-system"
CONTROLLER = "controller"
STATE = "state"

_READY = timedelta(seconds=90)


@dataclass(frozen=True)
class Process:
    """A process of the operator, as the node sees it."""

    pid: int
    pod: str
    container_id: str

    def kill(self) -> None:
        """`kill -9`; Kubernetes starts another."""
        os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Installed:
    """Controller and state service."""

    cluster: Cluster

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The pods of a part that are not on their way out."""
        pods = self.cluster.find_all("pods", NAMESPACE, labels=_label(component))
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def node_of(self, component: str) -> str:
        """The node on which a part runs."""
        self.wait_ready()
        node: str = self.pods(component)[0]["spec"]["nodeName"]
        return node

    def process(self, component: str) -> Process:
        """The process of a part, as it runs now."""
        self.wait_ready()
        pod = self.pods(component)[0]
        name: str = pod["metadata"]["name"]
        container: str = pod["status"]["containerStatuses"][0]["containerID"]
        return Process(self.cluster.container_process(NAMESPACE, name), name, container)

    def wait_restarted(self, component: str, old: Process) -> None:
        """Wait until Kubernetes has put another process in the place of a killed one, and that one is Ready."""

        def restarted() -> bool:
            containers = self._containers(component)
            return any(container["ready"] and container["containerID"] != old.container_id for container in containers)

        wait_for(restarted, _READY, f"The {component}'s process was not replaced", state=self._tell)

    def restarts(self, component: str) -> int:
        """How often the containers of a part were started again."""
        return sum(container["restartCount"] for container in self._containers(component))

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The state service, asked with the rights of the controller."""
        service = self.cluster.find_all("services", NAMESPACE, labels=_label(STATE))
        spec = next(each["spec"] for each in service if each["spec"]["clusterIP"] != "None")
        account = self.pods(CONTROLLER)[0]["spec"]["serviceAccountName"]
        token = self.cluster.kubectl(
            "create", "token", account, f"--namespace={NAMESPACE}", f"--audience={TOKEN_AUDIENCE}"
        )
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(token.strip())
            file.flush()
            store = open_store(f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}", token_file=file.name)
            try:
                yield store
            finally:
                store.close()

    def wait_ready(self) -> None:
        """Wait until both parts are Ready."""
        wait_for(
            lambda: all(self._ready(component) for component in (CONTROLLER, STATE)),
            _READY,
            "The operator did not become Ready",
            state=self._tell,
        )

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """No controller at all, as during a failed upgrade; the state service stays."""
        deployment = self.cluster.find_all("deployments", NAMESPACE, labels=_label(CONTROLLER))[0]
        name, replicas = deployment["metadata"]["name"], deployment["spec"]["replicas"]
        self._scale(name, 0)
        try:
            wait_for(
                lambda: not self.cluster.find_all("pods", NAMESPACE, labels=_label(CONTROLLER)),
                _READY,
                "The controller's pod did not go",
            )
            yield
        finally:
            self._scale(name, replicas)
            self.wait_ready()

    def gather_on(self, node: str) -> None:
        """Have all parts on one node, so that a test can disturb the other and hurt workers only."""
        strays = [
            pod["metadata"]["name"]
            for component in (CONTROLLER, STATE)
            for pod in self.pods(component)
            if pod["spec"].get("nodeName") != node
        ]
        if strays:
            with cordoned(self.cluster, *(other for other in self.cluster.nodes if other != node)):
                self.cluster.kubectl("delete", "pod", *strays, f"--namespace={NAMESPACE}", "--wait=true")
                self.wait_ready()

    def _ready(self, component: str) -> bool:
        pods = self.pods(component)
        return bool(pods) and all(
            condition["status"] == "True"
            for pod in pods
            for condition in pod["status"].get("conditions", [{"type": "Ready", "status": "False"}])
            if condition["type"] == "Ready"
        )

    def _containers(self, component: str) -> list[dict[str, Any]]:
        return [container for pod in self.pods(component) for container in pod["status"].get("containerStatuses", [])]

    def _tell(self) -> str:
        return self.cluster.kubectl("get", "pods", f"--namespace={NAMESPACE}", "--output=wide")

    def _scale(self, deployment: str, replicas: int) -> None:
        self.cluster.kubectl("scale", "deployment", deployment, f"--replicas={replicas}", f"--namespace={NAMESPACE}")


def _label(component: str) -> str:
    return f"app.kubernetes.io/component={component}"


@contextmanager
def cordoned(cluster: Cluster, *nodes: str) -> Iterator[None]:
    """No new pods for these nodes, for a while."""
    try:
        for node in nodes:
            cluster.cordon(node)
        yield
    finally:
        for node in nodes:
            cluster.uncordon(node)


@contextmanager
def drained(cluster: Cluster, node: str) -> Iterator[None]:
    """`kubectl drain`, and the node takes pods again afterwards."""
    try:
        cluster.drain(node)
        yield
    finally:
        cluster.uncordon(node)


def other_node(cluster: Cluster, node: str) -> str:
    """The node that isn't this one."""
    return next(other for other in cluster.nodes if other != node)
