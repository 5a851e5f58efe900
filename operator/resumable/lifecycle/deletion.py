"""A deleted ResumableJob: end the run, then its pods, then deal with the state, then let the resource go.

The finalizer holds the resource meanwhile. The flag `stop_requested` and SIGTERM let the worker save once more, which
matters when the state is retained; the end that is counted afterwards closes the run to any writer (Suspended when it
is retained, else Cancelled). A node that does not answer holds a deletion up for grace and `unreachableNodeSeconds`
and no longer, whatever the replacement policy: no successor is started, and a zombie finds its run ended or gone.
"""

from collections.abc import Sequence
from datetime import datetime

from resumable.lifecycle import ends, strays
from resumable.lifecycle.decision import (
    Action,
    Decision,
    DeletePod,
    DeleteState,
    ReleaseJob,
    ReleasePod,
    RequestStop,
    Settle,
)
from resumable.lifecycle.pod import Pod
from resumable.lifecycle.pod_end import classify_end, node_lost
from resumable.lifecycle.replacement import is_silent, look_again_at
from resumable.lifecycle.snapshot import Snapshot
from resumable.lifecycle.stop_reason import DELETED
from resumable.resource.job import ResumableJob
from resumable.resource.spec import Retention
from resumable.state.record import RunStatus, RunView
from resumable.state.store import Expected


def decide_deletion(job: ResumableJob, view: RunView | None, pods: Sequence[Pod], now: datetime) -> Decision:
    """The next part of a deletion."""
    snapshot = Snapshot.of(job, view, pods, now) if view is not None else None
    actions: list[Action] = []
    if snapshot is not None:
        actions += _end_current(snapshot)
        actions += strays.tidy(snapshot)
        rest = [pod for pod in snapshot.strays if not pod.terminal and is_silent(job, pod, now) and pod.tracked]
        actions += [ReleasePod(pod.name, pod.uid) for pod in rest]
    else:  # no record, or a person abandoned it: nothing to count
        for pod in pods:
            actions += _without_record(job, pod, now)
    if any(_holds(job, pod, now) for pod in pods):
        return Decision(tuple(actions), look_again=_next_look(job, pods, now))
    if actions or not job.finalized:
        return Decision(tuple(actions))
    return Decision(_last_actions(job, snapshot))


def _end_current(snapshot: Snapshot) -> list[Action]:
    job, run, pod = snapshot.job, snapshot.run, snapshot.pod
    if pod is None:
        current = snapshot.current
        if current is not None and current.ended is None and run.status is RunStatus.RUNNING:
            end = node_lost(current.pod_name, "its pod was gone when the job was deleted")
            return [ends.counted(snapshot, end, current.pod_name, current.pod_uid, current.node)]
        return []
    if pod.terminal or is_silent(job, pod, snapshot.now):
        actions: list[Action] = []
        if snapshot.is_open:
            end = (
                classify_end(pod, run, job.spec.completion, snapshot.current)
                if pod.terminal
                else node_lost(pod.name, "")
            )
            actions.append(ends.counted(snapshot, end, pod.name, pod.uid, pod.node))
        return [*actions, ReleasePod(pod.name, pod.uid)] if pod.tracked else actions
    actions = []
    if not snapshot.ended_by_worker and run.stop_requested != DELETED:
        actions.append(RequestStop(run.attempt, DELETED))
    if pod.deleting_since is None:
        actions.append(DeletePod(pod.name, pod.uid, DELETED))
    return actions


def _without_record(job: ResumableJob, pod: Pod, now: datetime) -> list[Action]:
    if pod.terminal or is_silent(job, pod, now):
        return [ReleasePod(pod.name, pod.uid)] if pod.tracked else []
    return [DeletePod(pod.name, pod.uid, DELETED)] if pod.deleting_since is None else []


def _holds(job: ResumableJob, pod: Pod, now: datetime) -> bool:
    """Whether the resource has to wait for this pod."""
    return not pod.terminal and not is_silent(job, pod, now)


def _next_look(job: ResumableJob, pods: Sequence[Pod], now: datetime) -> datetime | None:
    moments = (look_again_at(job, pod, now) for pod in pods)
    return min((moment for moment in moments if moment is not None), default=None)


def _last_actions(job: ResumableJob, snapshot: Snapshot | None) -> tuple[Action, ...]:
    """No process is left (or none that the fence lets in)."""
    if snapshot is None:
        return (ReleaseJob(),)
    run = snapshot.run
    if job.spec.state_retention_policy.when_deleted is Retention.RETAIN:
        if run.status.terminal or run.status is RunStatus.SUSPENDED:
            return (ReleaseJob(),)
        message = "its ResumableJob was deleted and its state retained"
        return Settle(Expected.of(run), RunStatus.SUSPENDED, DELETED, message), ReleaseJob()
    return DeleteState(), ReleaseJob()
