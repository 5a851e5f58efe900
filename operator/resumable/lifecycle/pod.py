"""A worker's pod as the decisions see it.

Made from a Kubernetes Pod by the controller, from a process by the local backend.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime


def nonce_hash(nonce: str) -> str:
    """What a pod may show of its attempt's nonce: which mint of the number it belongs to. It lets nobody write."""
    return hashlib.sha256(nonce.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Disruption:
    """The pod condition `DisruptionTarget`: somebody is removing the pod for the cluster's sake (KEP-3329)."""

    reason: str  # "EvictionByEvictionAPI", "PreemptionByScheduler", "DeletionByTaintManager", "TerminationByKubelet", …
    message: str = ""


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How the worker's container ended. A hint: only the record says that the run is complete."""

    exit_code: int
    reason: str = ""  # "Completed", "Error", "OOMKilled", "StartError", …
    message: str = ""
    signal: int | None = None
    started: datetime | None = None
    finished: datetime | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a pod that isn't terminal does not get to run: an image, a config error, no node that fits."""

    reason: str  # "ImagePullBackOff", "ErrImageNeverPull", "CreateContainerConfigError", "Unschedulable", …
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """A snapshot of one worker pod of one job."""

    name: str
    uid: str
    attempt: int
    run_id: str
    nonce_hash: str
    phase: str  # "Pending", "Running", "Succeeded", "Failed", "Unknown"
    created: datetime
    node: str = ""  # "": not scheduled
    template_hash: str = ""
    tracked: bool = True  # has our finalizer: its end was not counted yet
    deleting_since: datetime | None = None  # when it was asked for: deletionTimestamp less deletionGracePeriodSeconds
    disruption: Disruption | None = None
    blocked: Blocked | None = None
    end: ContainerEnd | None = None
    status_reason: str = ""  # the pod's own `status.reason`: "Evicted", "NodeLost", "UnexpectedAdmissionError", …
    status_message: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def terminal(self) -> bool:
        """Whether no process of this pod can run any more.

        A pod that is deleted before it was bound to a node never ran; its object stays, Pending, only because of our
        finalizer.
        """
        return self.phase in ("Succeeded", "Failed") or (self.deleting_since is not None and not self.node)
