"""The status of a job, made from its record and its pods.

Nothing in it is relative to the moment it is made, so an unchanged job gives an unchanged status and no write. All free
text is cut and all lists are bounded: the object stays far under 100 kB however long the job is.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from resumable.lifecycle import conditions, counters, expired
from resumable.lifecycle.decision import Condition, Decision
from resumable.lifecycle.pod import Pod
from resumable.lifecycle.snapshot import Snapshot
from resumable.lifecycle.summary import cut, step_label, step_note, step_state, summary_of
from resumable.resource.job import ObservedCondition, ResumableJob
from resumable.state.record import Attempt, RunStatus, RunView, Step, StepStatus, StoreInfo

MAX_STEPS = 5
MAX_HISTORY = 5
_TEXT_LIMIT = 256


def status_of(
    job: ResumableJob,
    view: RunView | None,
    pods: Sequence[Pod],
    decision: Decision,
    *,
    now: datetime,
    store: StoreInfo,
    extra: Sequence[Condition] = (),
) -> dict[str, Any]:
    """The whole `status`, for a JSON merge patch: every field is there, None where there is nothing to say.

    `extra` are conditions that only the caller knows (`Accepted` from a dry-run create, a quota); they win over the
    derived ones. When the store did not answer there is nothing to derive: use `store_unreachable`.
    """
    own = [pod for pod in pods if pod.run_id == job.uid]
    pod = Snapshot.of(job, view, own, now).pod if view is not None else None
    current = conditions.conditions_of(job, view, pod, decision, store, extra)
    status: dict[str, Any] = {
        "observedGeneration": job.generation,
        "phase": _phase(job, view, pod, decision, current),
        "active": sum(not each.terminal for each in own),
        "conditions": conditions.merged(job.observed, current, job.generation, now),
        "nextAttemptTime": _time(decision.next_attempt),
    }
    lost = any(each.type == "Paused" and each.status for each in decision.conditions)
    if view is None or lost:  # what the status says of the run is all that is left of it: keep it
        return status | ({} if job.observed.attempt else {"attempt": 0})
    run = view.run
    counted = counters.count(view.attempts)
    return status | {
        "attempt": max(run.attempt, job.observed.attempt),
        "runID": run.id,
        "storeUUID": store.uuid,
        "currentAttempt": _current_attempt(pod),
        "counters": {
            "interruptions": counted.interruptions,
            "failures": counted.failures,
            "resumes": counted.resumes,
        },
        "startTime": _time(run.started),
        "completionTime": _time(run.finished),
        "lastCheckpointTime": _time(view.last_saved),
        "observedRestartID": run.restart_id or None,
        "progress": _progress(view),
        "steps": [_step(step, view) for step in _most_telling(view.steps)],
        "history": [_attempt(each) for each in view.attempts if each.ended is not None][-MAX_HISTORY:],
        "summary": summary_of(view),
    }


def store_unreachable(job: ResumableJob, message: str, *, now: datetime) -> dict[str, Any]:
    """A partial `status` for a JSON merge patch: `StateStoreReachable` False, everything else as it was."""
    away = Condition("StateStoreReachable", False, "Unreachable", message)
    others = [each for each in job.observed.conditions if each.type != away.type]
    return {
        "conditions": [
            *(_as_it_was(each) for each in others),
            *conditions.merged(job.observed, (away,), job.generation, now),
        ]
    }


def _as_it_was(condition: ObservedCondition) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        **({"message": condition.message} if condition.message else {}),
        "lastTransitionTime": condition.last_transition_time,
        "observedGeneration": condition.observed_generation,
    }


def _phase(
    job: ResumableJob, view: RunView | None, pod: Pod | None, decision: Decision, current: Sequence[Condition]
) -> str:
    """One word for a column. For people: nothing may depend on it."""
    if job.deleting_since is not None:
        return "Deleting"
    if view is not None and view.run.status.terminal:
        return str(view.run.status)
    for condition in current:
        if condition.type == "Accepted" and not condition.status:
            return condition.reason
        if condition.type == "Paused" and condition.status:
            return "Paused"
    if view is None:
        return job.observed.phase if expired.is_finished(job) else "Pending"
    status = view.run.status
    if status not in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.INTERRUPTED):
        return str(status)
    if pod is not None and pod.blocked is not None:
        return pod.blocked.reason  # as kubectl shows it for the pod
    if decision.next_attempt is not None:
        return "BackOff"
    running = next(each for each in current if each.type == "Running")
    if running.status is not False:
        return running.reason
    return "Starting" if pod is not None and not pod.terminal else str(status)


def _current_attempt(pod: Pod | None) -> dict[str, Any] | None:
    if pod is None or pod.terminal:
        return None
    return {
        "podName": pod.name,
        "podUID": pod.uid,
        "nodeName": pod.node or None,
        "startTime": conditions.timestamp(pod.created),
    }


def _progress(view: RunView) -> dict[str, Any]:
    step = _at_work(view)
    percent = _percent(step)
    done = f"{view.steps_done} done"
    return {
        "currentStep": step_label(step) if step else None,
        "completedSteps": view.steps_done,
        "message": cut(step.progress_message, _TEXT_LIMIT) or None if step else None,
        "summary": f"{done}, {percent}%" if percent is not None else done,
    }


def _at_work(view: RunView) -> Step | None:
    """The step that runs or will go on; of several (`map`) the one that came last."""
    if view.run.status.terminal:
        return None
    return next((step for step in reversed(view.steps) if step.status is not StepStatus.DONE), None)


def _percent(step: Step | None) -> int | None:
    """How far the step at work is, when it says so."""
    if step is None or step.progress_current is None or not step.progress_total:
        return None
    return max(0, min(100, int(100 * step.progress_current / step.progress_total)))


def _most_telling(steps: Sequence[Step]) -> list[Step]:
    """What failed and what runs before what is done; the newest of each; shown in the order of the job."""
    newest_first = steps[::-1]
    chosen = sorted(newest_first, key=lambda step: step.status is StepStatus.DONE)[:MAX_STEPS]
    return [step for step in steps if step in chosen]


def _step(step: Step, view: RunView) -> dict[str, Any]:
    return _told(
        {
            "name": cut(step.name, _TEXT_LIMIT),
            "key": cut(step.key, _TEXT_LIMIT),
            "state": step_state(step, view),
            "tries": step.tries,
            "interruptions": step.interruptions,
            "startTime": _time(step.started),
            "completionTime": _time(step.finished),
            "message": cut(step_note(step, view), _TEXT_LIMIT),
        }
    )


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return _told(
        {
            "attempt": attempt.number,
            "podName": attempt.pod_name,
            "nodeName": attempt.node,
            "startTime": _time(attempt.begun or attempt.minted),
            "completionTime": _time(attempt.ended),
            "kind": str(attempt.end_kind),
            "reason": attempt.cause,
            "exitCode": attempt.exit_code,
            "message": cut(attempt.message, _TEXT_LIMIT),
        }
    )


def _told(item: dict[str, Any]) -> dict[str, Any]:
    """A list's item without what is not known: a merge patch replaces lists whole, so there is nothing to remove."""
    return {name: value for name, value in item.items() if value not in (None, "")}


def _time(moment: datetime | None) -> str | None:
    return conditions.timestamp(moment) if moment is not None else None
