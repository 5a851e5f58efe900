"""A ResumableJob on the cluster, as a test asks and tells it: by kubectl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.cluster import Cluster, wait_for
from tests.e2e.effect_log import EffectLog
from tests.e2e.manifests import Manifest, volume_claim

Object = dict[str, Any]

_SOON = timedelta(seconds=60)


@dataclass(frozen=True)
class ResumableJob:
    """One job, its pods, and the effect log on its volume."""

    cluster: Cluster
    namespace: str
    name: str
    log: EffectLog

    @classmethod
    def start(cls, cluster: Cluster, namespace: str, manifest: Manifest) -> ResumableJob:
        """Apply the job with a fresh volume."""
        name = manifest["metadata"]["name"]
        cluster.apply([volume_claim(name), manifest], namespace=namespace)
        return cls(cluster, namespace, name, EffectLog(volume_folder(cluster, namespace, name)))

    # Asking

    def get(self) -> Object:
        """The object as the API server has it."""
        found: Object = self.kubectl_json("get", "resumablejob", self.name)
        return found

    @property
    def status(self) -> Object:
        """Its status; empty before the first."""
        status: Object = self.get().get("status") or {}
        return status

    @property
    def counters(self) -> Object:
        """`status.counters`."""
        counters: Object = self.status["counters"]
        return counters

    def condition(self, kind: str) -> Object:
        """The condition of this type; empty when there is none yet."""
        conditions: list[Object] = self.status.get("conditions") or []
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def causes(self) -> list[str]:
        """Why each earlier attempt ended, the oldest first, from `status.history`."""
        history = sorted(self.status.get("history") or [], key=lambda attempt: attempt["attempt"])
        return [attempt["reason"] for attempt in history if attempt.get("reason")]

    def describe(self) -> str:
        """`kubectl describe`."""
        return self.kubectl("describe", "resumablejob", self.name)

    def events(self) -> list[Object]:
        """The Kubernetes Events about it."""
        selector = f"--field-selector=involvedObject.kind=ResumableJob,involvedObject.name={self.name}"
        items: list[Object] = self.kubectl_json("get", "events", selector)["items"]
        return items

    def pods(self) -> list[Object]:
        """Its pods, the living and the dead."""
        return self.cluster.find_all("pods", self.namespace, labels=f"resumable.dev/job-name={self.name}")

    def pod_name(self, attempt: int) -> str:
        """The name of an attempt's pod."""
        return f"{self.name}-r{attempt}"

    def pod(self, attempt: int) -> Object | None:
        """An attempt's pod, or None when there is none."""
        return self.cluster.find("pod", self.pod_name(attempt), self.namespace)

    def node_of(self, attempt: int) -> str:
        """The node on which an attempt's pod is."""
        pod = self.pod(attempt)
        assert pod is not None, f"there is no pod {self.pod_name(attempt)}"
        node: str = pod["spec"]["nodeName"]
        return node

    # Telling

    def patch(self, spec: Mapping[str, object]) -> None:
        """`kubectl patch` fields of the spec."""
        self.kubectl("patch", "resumablejob", self.name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def apply(self, manifest: Manifest) -> str:
        """`kubectl apply` a changed manifest of it."""
        return self.cluster.apply(manifest, namespace=self.namespace)

    def delete_pod(self, attempt: int, grace_seconds: int | None = None) -> None:
        """`kubectl delete pod`, by hand; with the pod's own grace unless told otherwise."""
        grace = [] if grace_seconds is None else [f"--grace-period={grace_seconds}", "--force"]
        self.kubectl("delete", "pod", self.pod_name(attempt), *grace, "--wait=false")

    def evict_pod(self, attempt: int) -> None:
        """Evict the pod through the eviction API, as `kubectl drain` and autoscalers do."""
        name = self.pod_name(attempt)
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": self.namespace},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/eviction"
        self.cluster.kubectl("create", f"--raw={path}", "--filename=-", input=json.dumps(eviction))

    def kill(self, attempt: int) -> None:
        """`kill -9` of the container's process, from the node."""
        self.cluster.kill_container(self.namespace, self.pod_name(attempt))

    # Waiting

    def wait_condition(self, kind: str, status: str = "True", within: timedelta = _SOON) -> None:
        """`kubectl wait --for=condition=…`."""
        wait_for(
            lambda: self.condition(kind).get("status") == status,
            within,
            f"The condition {kind} of {self.name} did not become {status}",
            state=lambda: json.dumps(self.status, indent=1),
        )

    def wait_complete(self, within: timedelta = _SOON) -> None:
        """Wait until the job says that it is complete."""
        self.wait_condition("Complete", within=within)

    def wait_phase(self, phase: str, within: timedelta = _SOON) -> None:
        """Wait for what the column Status shows."""
        wait_for(
            lambda: self.status.get("phase") == phase,
            within,
            f"{self.name} did not become {phase}",
            state=lambda: json.dumps(self.status, indent=1),
        )

    def wait_causes(self, *causes: str, within: timedelta = _SOON) -> None:
        """Wait until the ends that are counted are these; a run may be complete a moment before its pod has ended."""
        wait_for(
            lambda: self.causes() == list(causes),
            within,
            f"The attempts of {self.name} did not end by {', '.join(causes)}",
            state=self.causes,
        )

    def wait_no_live_pod(self, within: timedelta = _SOON) -> None:
        """Wait until no process of it can run."""
        wait_for(
            lambda: all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in self.pods()),
            within,
            f"A pod of {self.name} still lives",
            state=lambda: [(pod["metadata"]["name"], pod["status"]["phase"]) for pod in self.pods()],
        )

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in its namespace."""
        return self.cluster.kubectl(*arguments, f"--namespace={self.namespace}")

    def kubectl_json(self, *arguments: str) -> Any:
        """Run kubectl in its namespace with JSON as output."""
        return self.cluster.kubectl_json(*arguments, f"--namespace={self.namespace}")


def volume_folder(cluster: Cluster, namespace: str, claim: str) -> Path:
    """The folder of this machine that is the claim's volume, once it is bound."""

    def bound() -> str | None:
        found = cluster.find("persistentvolumeclaim", claim, namespace) or {}
        return found.get("spec", {}).get("volumeName") if found.get("status", {}).get("phase") == "Bound" else None

    volume = wait_for(bound, 30, f"The claim {namespace}/{claim} got no volume")
    return Path(cluster.kubectl_json("get", "persistentvolume", volume)["spec"]["hostPath"]["path"])
