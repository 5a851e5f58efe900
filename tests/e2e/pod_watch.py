"""Watches the pods of a namespace as a client of the API server, with this machine's clock.

A pod that ended and was deleted between two questions of a poll is seen, and moments are known to the millisecond; the
API's own timestamps are whole seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import kubernetes
import urllib3

from tests.cluster import Cluster


@dataclass(frozen=True)
class Sighting:
    """A pod as the watch showed it, and when (seconds of the monotonic clock)."""

    at: float
    kind: str  # "ADDED", "MODIFIED", "DELETED"
    pod: dict[str, Any]

    @property
    def name(self) -> str:
        name: str = self.pod["metadata"]["name"]
        return name

    @property
    def terminal(self) -> bool:
        """Whether the pod's phase says that none of its processes runs any more."""
        return self.pod.get("status", {}).get("phase") in ("Succeeded", "Failed")

    @property
    def exit_code(self) -> int | None:
        """The exit code of its first container, when that has ended."""
        for container in self.pod.get("status", {}).get("containerStatuses") or []:
            terminated = (container.get("state") or {}).get("terminated")
            return None if terminated is None else int(terminated["exitCode"])
        return None


class PodWatch:
    """`with PodWatch(cluster, namespace) as watch:` records what happens to the pods until the block ends."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(cluster.kubeconfig)))
        self._namespace = namespace
        self._watch = kubernetes.watch.Watch()
        self._thread = threading.Thread(target=self._follow, name=f"watch pods of {namespace}", daemon=True)
        self._over = False
        self._sightings: list[Sighting] = []
        self._happened = threading.Condition()

    def __enter__(self) -> PodWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over = True
        self._watch.stop()  # the thread ends with its next event, or with its connection's time; nobody waits for it

    def _follow(self) -> None:
        while not self._over:
            try:
                for event in self._watch.stream(self._api.list_namespaced_pod, self._namespace, timeout_seconds=60):
                    self._saw(Sighting(time.monotonic(), event["type"], event["raw_object"]))
            except urllib3.exceptions.HTTPError:
                pass  # the connection broke: the next one begins with all pods that there are

    def _saw(self, sighting: Sighting) -> None:
        with self._happened:
            self._sightings.append(sighting)
            self._happened.notify_all()

    def sightings(self, pod: str) -> list[Sighting]:
        """What was seen of the pod so far."""
        with self._happened:
            return [sighting for sighting in self._sightings if sighting.name == pod]

    def wait(self, pod: str, what: str, seen: Callable[[Sighting], bool], seconds: float = 60) -> Sighting:
        """The first sighting of the pod for which `seen` is true; returns as soon as it is there, without polling."""

        def found() -> Sighting | None:
            return next((sighting for sighting in self._sightings if sighting.name == pod and seen(sighting)), None)

        with self._happened:
            if self._happened.wait_for(lambda: found() is not None, timeout=seconds):
                sighting = found()
                assert sighting is not None
                return sighting
        raise AssertionError(f"Pod {pod} was not seen {what} within {seconds:g} s; seen: {self._tell(pod)}")

    def wait_created(self, pod: str, seconds: float = 60) -> Sighting:
        """The moment in which the pod came to be."""
        return self.wait(pod, "created", lambda sighting: True, seconds)

    def wait_terminal(self, pod: str, seconds: float = 60) -> Sighting:
        """The moment in which the pod was terminal."""
        return self.wait(pod, "terminal", lambda sighting: sighting.terminal, seconds)

    def _tell(self, pod: str) -> list[tuple[str, object]]:
        seen = self.sightings(pod)[-5:]
        return [(sighting.kind, sighting.pod.get("status", {}).get("phase")) for sighting in seen]
