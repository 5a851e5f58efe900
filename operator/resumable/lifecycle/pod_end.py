"""What the end of a worker's pod means: what it counts as, and why it ended.

The record comes first: a worker that wrote its end has ended, whatever became of its pod. Then, whoever wanted the
pod gone: we ourselves, the cluster (`DisruptionTarget`, KEP-3329), the kubelet, a person. A process that fails while
it is being removed is not blamed: what it needed may have gone before it. Only what is left is the container's own
doing, and so are the failures: an interruption never spends their budget.

Docs: the table in docs/lifecycle.md lists every cause.
"""

import signal
from dataclasses import dataclass
from datetime import timedelta

from resumable.lifecycle.pod import ContainerEnd, Pod
from resumable.lifecycle.stop_reason import NODE_LOST
from resumable.lifecycle.waiting import message_of
from resumable.resource.spec import Completion
from resumable.sdk.exit_codes import ExitCode
from resumable.state.record import Attempt, EndKind, Run, RunStatus


@dataclass(frozen=True, slots=True)
class PodEnd:
    """What an attempt's end counts as, and why it ended."""

    kind: EndKind
    cause: str  # CamelCase
    message: str = ""
    exit_code: int | None = None


WAITING = str(RunStatus.WAITING)  # the cause of an attempt that ended because the run waits

# Reasons that the kubelet or the node controllers give a pod: not the container's doing.
_NODE_REASONS = frozenset(
    {
        "Evicted",  # node pressure
        "NodeAffinity",
        "NodeLost",
        "NodeShutdown",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "Preempting",
        "Shutdown",
        "Terminated",  # graceful node shutdown
        "UnexpectedAdmissionError",
    }
)

# Reasons of a container whose process could not be started: retried with back-off, like a crash.
_START_REASONS = frozenset({"StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"})

# The end's time is by the node's clock, the deletion's by the API server's, which moves it to when the kubelet let go
# of the pod (our finalizer keeps it). In doubt it is an interruption.
_CLOCKS_DIFFER = timedelta(seconds=30)


def classify_end(
    pod: Pod, run: Run, completion: Completion = Completion.RECORD, attempt: Attempt | None = None
) -> PodEnd:
    """Why this terminal pod ended, and what that counts as. `attempt` is the pod's, as the record has it."""
    if pod.attempt == run.attempt and (spoken := _by_record(run, attempt)) is not None:
        kind, cause, message = spoken
    else:
        kind, cause, message = _by_removal(pod) or _by_node(pod) or _by_container(pod.end, pod, completion)
    return PodEnd(kind, cause, message or _told(pod), pod.end.exit_code if pod.end else None)


def classify_without_pod(run: Run, attempt: Attempt | None = None) -> PodEnd:
    """How an attempt ended whose pod is gone: only the record can tell."""
    kind, cause, message = _by_record(run, attempt) or (EndKind.INTERRUPTION, NODE_LOST, "its pod is gone")
    return PodEnd(kind, cause, message)


def node_lost(pod_name: str, message: str) -> PodEnd:
    """The end of an attempt whose pod does not answer any more and is given up."""
    return PodEnd(EndKind.INTERRUPTION, NODE_LOST, message or f"pod {pod_name} does not answer")


_Verdict = tuple[EndKind, str, str]


def _by_record(run: Run, attempt: Attempt | None) -> _Verdict | None:
    """The worker's own word, and what we asked of it."""
    match run.status:
        case RunStatus.SUCCEEDED:
            return EndKind.COMPLETION, "Completed", ""
        case RunStatus.WAITING:
            return EndKind.COMPLETION, WAITING, message_of(run)
        case RunStatus.FAILED | RunStatus.CANCELLED | RunStatus.PAUSED:
            return EndKind.COMPLETION, run.reason or str(run.status), run.message
        case RunStatus.SUSPENDED:
            return EndKind.REQUESTED, "Suspended", ""
    if attempt is not None and attempt.written_end is not None:  # it left on purpose, and the run has moved on since
        return EndKind.COMPLETION, str(attempt.written_end), run.message
    if run.stop_requested == NODE_LOST:
        return EndKind.INTERRUPTION, NODE_LOST, ""
    if run.stop_requested:
        return EndKind.REQUESTED, run.stop_requested, ""
    return None


def _by_removal(pod: Pod) -> _Verdict | None:
    """The cluster or a person wanted the pod gone, before its container ended."""
    if pod.disruption is not None:
        return EndKind.INTERRUPTION, pod.disruption.reason, pod.disruption.message
    if pod.deleting_since is not None and not _ended_before_its_deletion(pod):
        return EndKind.INTERRUPTION, "DeletedByUser", ""
    return None


def _ended_before_its_deletion(pod: Pod) -> bool:
    """Somebody tidied away a pod that had ended by itself."""
    finished = pod.end.finished if pod.end else None
    return finished is not None and pod.deleting_since is not None and finished < pod.deleting_since - _CLOCKS_DIFFER


def _by_node(pod: Pod) -> _Verdict | None:
    if pod.status_reason in _NODE_REASONS:
        return EndKind.INTERRUPTION, pod.status_reason, pod.status_message
    return None


def _by_container(end: ContainerEnd | None, pod: Pod, completion: Completion) -> _Verdict:
    if end is None:
        return EndKind.INTERRUPTION, pod.status_reason or "NeverRan", pod.status_message or "its container never ran"
    if end.reason == "OOMKilled":  # a failure: a job that dies after each row would loop for ever
        return EndKind.FAILURE, "OOMKilled", "the container used more memory than its limit"
    if end.reason == "ContainerStatusUnknown":  # the kubelet lost sight of it, as when its node restarts
        return EndKind.INTERRUPTION, "ContainerStatusUnknown", ""
    if end.reason in _START_REASONS:
        return EndKind.FAILURE, end.reason, ""
    match end.exit_code:
        case ExitCode.DONE if completion is Completion.EXIT_CODE:
            return EndKind.COMPLETION, "Completed", ""
        case ExitCode.DONE:
            return EndKind.FAILURE, "NoRecord", _NO_RECORD
        case ExitCode.INTERRUPTED:
            return EndKind.INTERRUPTION, "Interrupted", ""
        case ExitCode.WAITING if completion is Completion.RECORD:  # a wait that is not on record ends for no signal
            return EndKind.INTERRUPTION, "WaitNotRecorded", "the worker left to wait, but its record does not say so"
        case ExitCode.FENCED:
            return EndKind.INTERRUPTION, "Fenced", ""
        case code if number := end.signal or (code - 128 if code > 128 else 0):
            return EndKind.FAILURE, "Signalled", f"killed by {_signal_name(number)}, not by the cluster"
    return EndKind.FAILURE, "Error", ""


_NO_RECORD = (
    "the container left with exit code 0 but the run has no result: does the program call main() of its job? "
    "A container without the SDK needs spec.completion: ExitCode"
)


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} (signal {number})"
    except ValueError:
        return f"signal {number}"


def _told(pod: Pod) -> str:
    """The container's own last words, else the pod's."""
    return (pod.end.message if pod.end else "") or pod.status_message
