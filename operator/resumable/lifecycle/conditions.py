"""The conditions of a job: derived anew each time, merged with the old ones so that their transition times stay.

Accepted, Running, Finished, StateStoreReachable and StateDurable are always there; the others once they have been true.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from resumable.lifecycle import expired, waiting
from resumable.lifecycle.decision import Condition, Decision
from resumable.lifecycle.ends import spent_budget
from resumable.lifecycle.exhausted import REASONS as BUDGET_REASONS
from resumable.lifecycle.pod import Pod
from resumable.lifecycle.summary import cut
from resumable.resource.job import Observed, ResumableJob
from resumable.resource.spec import Completion
from resumable.state.record import Run, RunStatus, RunView, StoreInfo

_MESSAGE_LIMIT = 1024

_ORDER = (
    "Accepted",
    "Running",
    "Waiting",
    "Paused",
    "Suspended",
    "Complete",
    "Failed",
    "Finished",
    "StateStoreReachable",
    "StateDurable",
)
_WAIT_ENDED = frozenset({waiting.TIMER_DUE, waiting.SIGNAL_RECEIVED})
_ALWAYS = frozenset({"Accepted", "Running", "Finished", "StateStoreReachable", "StateDurable"})


def conditions_of(
    job: ResumableJob,
    view: RunView | None,
    pod: Pod | None,
    decision: Decision,
    store: StoreInfo,
    extra: Sequence[Condition],
) -> list[Condition]:
    """All conditions as they stand. `pod` is the current attempt's. The caller's `extra` win over all others."""
    derived = [
        _accepted(job, view),
        Condition("StateStoreReachable", True, "Reachable"),
        Condition("StateDurable", store.durable, "Durable" if store.durable else "Volatile", store.durability),
        *_of_run(job, view, pod, decision),
        *decision.conditions,
        *extra,
    ]
    latest = {condition.type: condition for condition in derived}
    return [
        latest[kind]
        for kind in _ORDER
        if kind in latest and (latest[kind].status is not False or kind in _ALWAYS or job.observed.condition(kind))
    ]


def merged(observed: Observed, conditions: Iterable[Condition], generation: int, now: datetime) -> list[dict[str, Any]]:
    """As they are written; `lastTransitionTime` changes only with the status."""
    return [_written(observed, condition, generation, now) for condition in conditions]


def _written(observed: Observed, condition: Condition, generation: int, now: datetime) -> dict[str, Any]:
    status = {True: "True", False: "False", None: "Unknown"}[condition.status]
    old = observed.condition(condition.type)
    since = old.last_transition_time if old is not None and old.status == status else ""
    return {
        "type": condition.type,
        "status": status,
        "reason": condition.reason,
        **({"message": cut(condition.message, _MESSAGE_LIMIT)} if condition.message else {}),
        "lastTransitionTime": since or timestamp(now),
        "observedGeneration": generation,
    }


def timestamp(moment: datetime) -> str:
    """As Kubernetes writes times: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _accepted(job: ResumableJob, view: RunView | None) -> Condition:
    if job.problem is not None:
        return Condition("Accepted", False, "InvalidSpec", str(job.problem))
    if view is not None and view.run.status is RunStatus.FAILED and view.run.reason == "InvalidInput":
        return Condition("Accepted", False, "InvalidInput", view.run.message)  # only the job knows its parameters
    return Condition("Accepted", True, "Accepted")


def _of_run(job: ResumableJob, view: RunView | None, pod: Pod | None, decision: Decision) -> list[Condition]:
    if view is None and expired.is_finished(job):
        return expired.as_it_was(job.observed)
    if view is None:
        return [Condition("Running", False, "NotStarted"), Condition("Finished", False, "NotFinished")]
    run = view.run
    return [
        _running(job, run, pod, decision),
        _waiting(run),
        _paused(job, view),
        _is(run, RunStatus.SUSPENDED, "Suspended"),
        _is(run, RunStatus.SUCCEEDED, "Complete"),
        _failed(run),
        Condition("Finished", run.status.terminal, str(run.status) if run.status.terminal else "NotFinished"),
    ]


def _is(run: Run, status: RunStatus, kind: str) -> Condition:
    if run.status is status:
        return Condition(kind, True, run.reason or str(status), run.message)
    return Condition(kind, False, f"Not{kind}")


def _waiting(run: Run) -> Condition:
    if run.status is RunStatus.WAITING:
        return Condition("Waiting", True, waiting.reason_of(run), waiting.message_of(run))
    return Condition("Waiting", False, run.reason if run.reason in _WAIT_ENDED else "NotWaiting")


def _paused(job: ResumableJob, view: RunView) -> Condition:
    """A pause by a budget tells what to raise; the record has only what the last attempt said."""
    condition = _is(view.run, RunStatus.PAUSED, "Paused")
    if condition.status and view.run.reason in BUDGET_REASONS:
        budgeted = tuple(each for each in view.attempts if each.generation == view.run.generation)
        spent = spent_budget(job.spec, budgeted)
        return replace(condition, message=spent.message) if spent else condition
    return condition


def _failed(run: Run) -> Condition:
    if run.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        return Condition("Failed", True, run.reason or str(run.status), run.message or run.error)
    return Condition("Failed", False, "NotFailed")


def _running(job: ResumableJob, run: Run, pod: Pod | None, decision: Decision) -> Condition:
    lives = pod is not None and not pod.terminal
    started = run.status is RunStatus.RUNNING or (
        job.spec.completion is Completion.EXIT_CODE and pod is not None and pod.phase == "Running"
    )
    if lives and started and not run.status.terminal:
        if run.stop_requested:
            return Condition("Running", True, "Stopping", f"asked to save and leave: {run.stop_requested}")
        if pod is not None and pod.deleting_since is not None:
            return Condition("Running", True, "Stopping", f"pod {pod.name} is being deleted")
        return Condition("Running", True, "Running")
    if decision.next_attempt is not None and run.status is not RunStatus.WAITING:
        return Condition("Running", False, "BackOff", f"the next attempt starts at {timestamp(decision.next_attempt)}")
    if run.status is RunStatus.PENDING and lives and pod is not None:
        return Condition("Running", False, "Starting", f"pod {pod.name} is starting")
    if run.status is RunStatus.RUNNING:
        return Condition("Running", False, "Ended", "the attempt's pod has ended")
    return Condition("Running", False, _not_running(run), _why_not_running(run))


def _why_not_running(run: Run) -> str:
    return waiting.message_of(run) if run.status is RunStatus.WAITING else run.message


def _not_running(run: Run) -> str:
    if run.status in (RunStatus.PENDING, RunStatus.INTERRUPTED):
        return run.reason or str(run.status)
    return str(run.status)
