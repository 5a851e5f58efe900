"""An attempt has ended: what is recorded of it, and what becomes of the run."""

from dataclasses import replace

import msgspec

from resumable.lifecycle import failures, interruptions
from resumable.lifecycle.decision import CountEnd
from resumable.lifecycle.exhausted import Exhausted
from resumable.lifecycle.pod import Pod
from resumable.lifecycle.pod_end import PodEnd
from resumable.lifecycle.snapshot import Snapshot
from resumable.lifecycle.stop_reason import CANCELLED, DELETED
from resumable.lifecycle.summary import step_label
from resumable.resource.spec import Retention, Spec
from resumable.state.record import Attempt, EndKind, RunStatus, StepStatus
from resumable.state.store import AttemptEnd

# Free text from outside is cut before it is stored: a termination message may have 4 kB, and there is one per attempt.
_MESSAGE_LIMIT = 1000


def counted(snapshot: Snapshot, end: PodEnd, pod_name: str, pod_uid: str, node: str) -> CountEnd:
    """The action that records this end of the current attempt."""
    if end.kind is EndKind.FAILURE and not end.message:
        end = replace(end, message=_failed_step(snapshot))
    to, reason = successor(snapshot, end)
    return CountEnd(_attempt_end(end, snapshot.run.attempt, pod_name, pod_uid, node, to, reason))


def counted_late(snapshot: Snapshot, end: PodEnd, pod: Pod) -> CountEnd:
    """The action that records the end of an older attempt: the run has moved on, and stays as it is."""
    run = snapshot.run
    return CountEnd(_attempt_end(end, pod.attempt, pod.name, pod.uid, pod.node, run.status, run.reason))


def successor(snapshot: Snapshot, end: PodEnd) -> tuple[RunStatus, str]:
    """The run's status and reason after the current attempt's end."""
    job, run = snapshot.job, snapshot.run
    if snapshot.ended_by_worker or run.status is RunStatus.SUSPENDED:
        return run.status, run.reason
    if end.kind is EndKind.COMPLETION:  # by exit code: the record did not say it
        return RunStatus.SUCCEEDED, end.cause
    if job.deleting_since is not None:
        kept = job.spec.state_retention_policy.when_deleted is Retention.RETAIN
        return (RunStatus.SUSPENDED if kept else RunStatus.CANCELLED), DELETED
    if job.spec.cancel:
        return RunStatus.CANCELLED, CANCELLED
    if (spent := spent_budget(job.spec, _with(snapshot, end))) is not None:
        return spent.to, spent.reason
    if job.spec.suspend:
        return RunStatus.SUSPENDED, "Suspended"
    if end.kind is EndKind.FAILURE:
        return RunStatus.PENDING, "BackOff"
    return RunStatus.INTERRUPTED, end.cause


def spent_budget(spec: Spec, attempts: tuple[Attempt, ...]) -> Exhausted | None:
    """The budget that these attempts have spent, if any."""
    return failures.exhausted(spec, attempts) or interruptions.exhausted(spec, attempts)


def _failed_step(snapshot: Snapshot) -> str:
    """What the record knows of a failure: the error of the step that failed in this attempt."""
    failed = [
        step
        for step in snapshot.view.steps
        if step.status is StepStatus.FAILED and step.attempt == snapshot.run.attempt and step.error
    ]
    return f"step {step_label(failed[-1])}: {failed[-1].error}" if failed else ""


def _with(snapshot: Snapshot, end: PodEnd) -> tuple[Attempt, ...]:
    """The attempts as they will be when this end is recorded."""
    number = snapshot.run.attempt
    return tuple(
        msgspec.structs.replace(each, ended=snapshot.now, end_kind=end.kind, cause=end.cause, message=end.message)
        if each.number == number
        else each
        for each in snapshot.budgeted
    )


def _attempt_end(
    end: PodEnd, attempt: int, pod_name: str, pod_uid: str, node: str, to: RunStatus, reason: str
) -> AttemptEnd:
    return AttemptEnd(
        attempt=attempt,
        kind=end.kind,
        cause=end.cause,
        message=end.message[:_MESSAGE_LIMIT],
        exit_code=end.exit_code,
        node=node,
        pod_name=pod_name,
        pod_uid=pod_uid,
        to=to,
        reason=reason,
    )
