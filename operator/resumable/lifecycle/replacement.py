"""A pod that does not answer: when its attempt is given up for a successor (`spec.podReplacementPolicy`).

Terminated: never by us; the API server must say that the pod is terminal (the node comes back, or is tainted
out-of-service or deleted, and the pod collector ends its pods). AfterFencing: when the pod was silent for
`unreachableNodeSeconds` beyond its grace. The fence keeps a process that still lives from writing to the store; the
wait lets it notice that it lost contact and leave, so that it does no harm outside either.

Two signs of silence: a deleted pod that its kubelet does not end in time, and a bound pod that is not there any more
(forced away, or the API server went back in time).
"""

from datetime import datetime, timedelta

from resumable.lifecycle import ends
from resumable.lifecycle.decision import Action, Condition, CountEnd, RequestStop
from resumable.lifecycle.pod import Pod
from resumable.lifecycle.pod_end import PodEnd, classify_without_pod, node_lost
from resumable.lifecycle.snapshot import Snapshot
from resumable.lifecycle.stop_reason import NODE_LOST
from resumable.resource.job import ResumableJob
from resumable.resource.spec import PodReplacementPolicy

# How long beyond its grace a deleted pod may take before anybody speaks of it: kubelets are slow under load.
_PATIENCE = timedelta(seconds=30)


def is_late(job: ResumableJob, pod: Pod, now: datetime) -> bool:
    """Whether a deleted pod should have been terminal by now."""
    due = _end_due(job, pod)
    return due is not None and now >= due + _PATIENCE


def is_silent(job: ResumableJob, pod: Pod, now: datetime) -> bool:
    """Whether a deleted pod has been late for so long that it is given up where it may be."""
    due = _end_due(job, pod)
    return due is not None and now >= due + _unreachable(job)


def look_again_at(job: ResumableJob, pod: Pod, now: datetime) -> datetime | None:
    """When a deleted pod becomes late, or is given up: no watch event tells that nothing happened."""
    due = _end_due(job, pod)
    if due is None:
        return None
    moments = (due + _PATIENCE, due + _unreachable(job))
    return min((moment for moment in moments if moment > now), default=None)


def _end_due(job: ResumableJob, pod: Pod) -> datetime | None:
    """When the kubelet has to have ended a deleted pod."""
    if pod.terminal or pod.deleting_since is None:
        return None
    return pod.deleting_since + timedelta(seconds=job.grace_seconds)


def _unreachable(job: ResumableJob) -> timedelta:
    return timedelta(seconds=job.spec.unreachable_node_seconds)


def may_give_up(job: ResumableJob) -> bool:
    """Whether a silent pod may be given up at all: for a successor, or because there will be none."""
    return job.spec.cancel or job.spec.pod_replacement_policy is PodReplacementPolicy.AFTER_FENCING


def unreachable(job: ResumableJob, pod: Pod) -> Condition:
    """What to say of a deleted pod that does not end."""
    where = f"node {pod.node}" if pod.node else "its node"
    return Condition(
        "Running", None, "NodeUnreachable", f"pod {pod.name} does not end: {where} does not answer. {_next(job)}"
    )


def absent(snapshot: Snapshot) -> tuple[tuple[Action, ...], Condition, datetime | None]:
    """For a pod that was bound and is not there any more: what to do, what to say, and when to look again."""
    job, run, current = snapshot.job, snapshot.run, snapshot.current
    assert current is not None
    condition = Condition(
        "Running",
        None,
        "PodLost",
        f"pod {current.pod_name or job.pod_name(run.attempt)} of attempt {run.attempt} is gone, and nothing shows "
        f"that its process ended. {_next(job)}",
    )
    if snapshot.ended_by_worker:  # leaving was all that it had left to do
        return (_counted(snapshot, classify_without_pod(run, current)),), condition, None
    if snapshot.now < current.minted + _PATIENCE:  # the pod is younger than the list of pods may be old
        return (), condition, current.minted + _PATIENCE
    if not run.stop_requested:
        # Should the process live and reach the store, it saves and leaves. This also dates the loss: `run.updated`.
        return (RequestStop(run.attempt, NODE_LOST),), condition, None
    if not may_give_up(job):
        return (), condition, None
    given_up = run.updated + timedelta(seconds=job.grace_seconds) + _unreachable(job)
    if snapshot.now < given_up:
        return (), condition, given_up
    end = node_lost(current.pod_name, "its pod is gone, and its process did not answer")
    return (_counted(snapshot, end),), condition, None


def _counted(snapshot: Snapshot, end: PodEnd) -> CountEnd:
    current = snapshot.current
    assert current is not None
    return ends.counted(snapshot, end, current.pod_name, current.pod_uid, current.node)


def _next(job: ResumableJob) -> str:
    if may_give_up(job):
        what = "The run is cancelled" if job.spec.cancel else "The next attempt starts"
        return f"{what} when it was silent for {job.spec.unreachable_node_seconds} s"
    return (
        "The next attempt starts when the pod is known to have ended. If you know that its process does not run any "
        "more, set spec.podReplacementPolicy: AfterFencing"
    )
