"""What `decide` returns: data, never a callback.

Whoever carries a decision out needs no `if` about the *why*. The actions are done in order; one that is refused
(`Stale`, a conflict) ends the round, and the next round reads everything again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from resumable.state.record import RunStatus
from resumable.state.store import AttemptEnd, Expected, RestartRequest


@dataclass(frozen=True, slots=True)
class CreateRun:
    """Make the record of a job that was never started."""


@dataclass(frozen=True, slots=True)
class SetInput:
    """Store the changed `spec.input`; no pod lives."""

    expected: Expected


@dataclass(frozen=True, slots=True)
class Mint:
    """Mint the next attempt, then create its pod.

    Whoever carries this out makes live reads first: the job (same UID, not deleted, not suspended) and the last pod.
    """

    expected: Expected

    @property
    def attempt(self) -> int:
        """The number that will be minted."""
        return self.expected.attempt + 1


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create the pod of an attempt that is minted already and has none, as far as anybody knows."""

    attempt: int


@dataclass(frozen=True, slots=True)
class BindPod:
    """Tell the store which pod is the current attempt's (the reply to the create was lost)."""

    attempt: int
    pod_name: str
    pod_uid: str


@dataclass(frozen=True, slots=True)
class RequestStop:
    """Raise the flag `stop_requested`: the worker saves and leaves at its next safe point."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a pod, which sends SIGTERM; `grace_seconds` None: the pod's own."""

    name: str
    uid: str
    reason: str
    grace_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class CountEnd:
    """Record a pod's end in the store, once. Then the status is written, then the pod is released: in this order."""

    end: AttemptEnd


@dataclass(frozen=True, slots=True)
class ReleasePod:
    """Take our finalizer off a pod whose end is counted."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Change the run's status while no pod lives."""

    expected: Expected
    to: RunStatus
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    """Open a new generation of the run, with the steps forgotten that the request names; no pod lives."""

    expected: Expected
    request: RestartRequest


@dataclass(frozen=True, slots=True)
class DeleteState:
    """Remove the run's record and its checkpoint files."""


@dataclass(frozen=True, slots=True)
class ReleaseJob:
    """Take our finalizer off the deleted job: pods are gone, the state is dealt with."""


Action: TypeAlias = (
    CreateRun
    | SetInput
    | Mint
    | CreatePod
    | BindPod
    | RequestStop
    | DeletePod
    | CountEnd
    | ReleasePod
    | Settle
    | Restart
    | DeleteState
    | ReleaseJob
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the job's status; transition times are the writer's business."""

    type: str  # "Accepted", "Running", "Waiting", "Paused", "Suspended", "Complete", "Failed", "Finished", …
    status: bool | None  # None: Unknown
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A Kubernetes Event (locally: a line on the screen), sent once for the transition that it names."""

    type: str  # "Normal" | "Warning"
    reason: str  # CamelCase
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, what to say about it, and when to look again without being woken."""

    actions: tuple[Action, ...] = ()
    notices: tuple[Notice, ...] = ()
    conditions: tuple[
        Condition, ...
    ] = ()  # beyond those that follow from the record: why nothing happens, what is wrong
    look_again: datetime | None = None  # by the store's clock
    next_attempt: datetime | None = None  # back-off or timer: `status.nextAttemptTime`
