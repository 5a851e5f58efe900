"""What to do about one job, from one snapshot of it.

The order of the questions: is the job going away; is its record the one that was seen before; what of pods that are
not the current attempt's; and then, is an attempt under way (look after its pod) or is none (what, if anything, keeps
the next from starting).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from resumable.lifecycle import (
    cancellation,
    ends,
    expired,
    failures,
    finished_pods,
    interruptions,
    lost_state,
    replacement,
    restart,
    rollout,
    strays,
    suspension,
    waiting,
)
from resumable.lifecycle.decision import (
    Action,
    BindPod,
    Condition,
    CreatePod,
    CreateRun,
    Decision,
    DeletePod,
    Mint,
    ReleasePod,
    RequestStop,
    SetInput,
    Settle,
)
from resumable.lifecycle.deletion import decide_deletion
from resumable.lifecycle.exhausted import REASONS as BUDGET_REASONS
from resumable.lifecycle.notices import notices_of
from resumable.lifecycle.pod import Pod
from resumable.lifecycle.pod_end import classify_end, classify_without_pod, node_lost
from resumable.lifecycle.snapshot import Snapshot
from resumable.lifecycle.stop_reason import CANCELLED, RESTART, ROLLOUT, SUSPENDED
from resumable.resource.job import ResumableJob
from resumable.state.record import RunStatus, RunView
from resumable.state.store import Expected

# How long a worker that wrote its end may take to leave (exit handlers) before its pod is deleted, and how long a pod
# may stay when its worker has left (sidecars): a run that waits keeps no pod, and its next one comes after this one.
LINGER = timedelta(minutes=5)
SIDECARS_LINGER = timedelta(seconds=10)


def decide(
    job: ResumableJob, view: RunView | None, pods: Sequence[Pod], now: datetime, *, store_uuid: str = ""
) -> Decision:
    """What to do now about this job. The same snapshot always gives the same answer.

    `view` is the run's record; None: the store has none (not: the store did not answer, then there is nothing to
    decide). `pods` are all pods of this run, read *before* the view; the one that is bound to the current attempt must
    be looked for live before it is left out. `now` is the store's clock (`view.now` where there is a view).
    `store_uuid` is `StoreInfo.uuid`.
    """
    own = [pod for pod in pods if pod.run_id == job.uid]
    if job.deleting_since is not None:
        decision = decide_deletion(job, view, own, now)
    elif (lost := lost_state.find(job, view, own, store_uuid)) is not None:
        decision = Decision(conditions=(lost,))
    elif view is None and expired.is_finished(job):
        decision = Decision(conditions=expired.refused(job))
    elif view is None:
        decision = Decision(() if job.problem is not None else (CreateRun(),))
    else:
        decision = _decide_run(Snapshot.of(job, view, own, now))
    conditions = (*decision.conditions, *restart.refused(job))
    return Decision(
        decision.actions,
        notices_of(job, view, decision.actions, conditions),
        conditions,
        decision.look_again,
        decision.next_attempt,
    )


def _decide_run(snapshot: Snapshot) -> Decision:
    tidying = strays.tidy(snapshot)
    pods = [*snapshot.strays, *([snapshot.pod] if snapshot.pod else [])]
    tidying += finished_pods.surplus(pods, snapshot.job.spec.finished_pods_limit)
    rest = _under_way(snapshot) if snapshot.is_open else _between_attempts(snapshot)
    return Decision((*tidying, *rest.actions), (), rest.conditions, rest.look_again, rest.next_attempt)


def _under_way(snapshot: Snapshot) -> Decision:
    """The current attempt's end is not counted yet."""
    pod, current = snapshot.pod, snapshot.current
    assert current is not None
    if pod is not None:
        return _has_ended(snapshot, pod) if pod.terminal else _lives(snapshot, pod)
    if snapshot.never_had_a_pod:
        return _between_attempts(snapshot)
    actions, condition, look_again = replacement.absent(snapshot)
    return Decision(actions, (), (condition,), look_again)


def _has_ended(snapshot: Snapshot, pod: Pod) -> Decision:
    end = classify_end(pod, snapshot.run, snapshot.job.spec.completion, snapshot.attempt(pod.attempt))
    actions: list[Action] = [ends.counted(snapshot, end, pod.name, pod.uid, pod.node)]
    if pod.tracked:
        actions.append(ReleasePod(pod.name, pod.uid))
    return Decision(tuple(actions))


def _lives(snapshot: Snapshot, pod: Pod) -> Decision:
    """A process of the current attempt may run: flags and signals, but no change of status."""
    current, run, job = snapshot.current, snapshot.run, snapshot.job
    assert current is not None
    actions: list[Action] = []
    if not current.pod_uid:
        actions.append(BindPod(run.attempt, pod.name, pod.uid))
    if snapshot.ended_by_worker:
        return _lingers(snapshot, pod, actions)
    reason = _stop_wanted(snapshot, pod)
    if reason and run.stop_requested != reason:
        actions.append(RequestStop(run.attempt, reason))
    if reason and pod.deleting_since is None:
        actions.append(DeletePod(pod.name, pod.uid, reason))
    if pod.deleting_since is None:
        return Decision(tuple(actions), (), _blocked(pod))
    if replacement.is_silent(job, pod, snapshot.now) and replacement.may_give_up(job):
        # The pod keeps our finalizer: should it come to an end one day, it is let go then.
        actions.append(ends.counted(snapshot, node_lost(pod.name, ""), pod.name, pod.uid, pod.node))
        return Decision(tuple(actions))
    late = replacement.is_late(job, pod, snapshot.now)
    conditions = (replacement.unreachable(job, pod),) if late else ()
    return Decision(tuple(actions), (), conditions, replacement.look_again_at(job, pod, snapshot.now))


def _stop_wanted(snapshot: Snapshot, pod: Pod) -> str:
    """Why this living pod has to go, in the order of finality; "": it may stay."""
    spec = snapshot.job.spec
    if spec.cancel:
        return CANCELLED
    if spec.suspend or snapshot.run.status is RunStatus.SUSPENDED:
        return SUSPENDED
    if restart.wanted(snapshot):
        return RESTART
    return ROLLOUT if rollout.wanted(snapshot, pod) else ""


def _lingers(snapshot: Snapshot, pod: Pod, actions: list[Action]) -> Decision:
    """The worker wrote its end and is about to leave.

    When its node is lost before anybody sees the pod end, the end is counted all the same, or a run that waits could
    not go on: to leave was all that it had left to do. The pod keeps our finalizer until it is terminal.
    """
    job, now = snapshot.job, snapshot.now
    patience = LINGER if pod.end is None else SIDECARS_LINGER
    patience_ends = (snapshot.run.finished or snapshot.run.updated) + patience
    if pod.deleting_since is not None and replacement.is_late(job, pod, now):
        end = classify_without_pod(snapshot.run, snapshot.current)
        return Decision((*actions, ends.counted(snapshot, end, pod.name, pod.uid, pod.node)))
    if pod.deleting_since is not None:
        return Decision(tuple(actions), look_again=replacement.look_again_at(job, pod, now))
    if snapshot.now < patience_ends:
        return Decision(tuple(actions), look_again=patience_ends)
    return Decision((*actions, DeletePod(pod.name, pod.uid, "Finished")))


def _blocked(pod: Pod) -> tuple[Condition, ...]:
    if pod.blocked is None:
        return ()
    return (Condition("Running", False, pod.blocked.reason, pod.blocked.message),)


def _between_attempts(snapshot: Snapshot) -> Decision:
    """No attempt is under way, or one was minted and never got a pod: what keeps the next pod from being created?"""
    releases: tuple[Action, ...] = ()
    if snapshot.pod is not None and snapshot.pod.terminal and snapshot.pod.tracked:
        releases = (ReleasePod(snapshot.pod.name, snapshot.pod.uid),)
    rest = _next_attempt(snapshot)
    return Decision((*releases, *rest.actions), (), rest.conditions, rest.look_again, rest.next_attempt)


def _next_attempt(snapshot: Snapshot) -> Decision:
    job, run = snapshot.job, snapshot.run
    if again := restart.action(snapshot):
        return Decision((again,))
    if run.status.terminal:
        return Decision()
    if (pod := strays.in_the_way(snapshot)) is not None:
        return Decision(conditions=(Condition("Running", False, "PodInTheWay", f"pod {pod.name} has to end first"),))
    settles = (cancellation.settle, suspension.settle, _budgets, waiting.settle)
    if settle := next(filter(None, (settle_of(snapshot) for settle_of in settles)), None):
        return Decision((settle,))
    if (wakes_at := waiting.wakes_at(run)) is not None:
        return Decision(look_again=wakes_at, next_attempt=wakes_at)
    if job.problem is not None or run.status not in (RunStatus.PENDING, RunStatus.INTERRUPTED):
        return Decision()
    if not snapshot.is_open and job.spec.encoded_input != run.input:
        return Decision((SetInput(Expected.of(run)),))
    held = [failures.retry_at(job.spec, snapshot.budgeted), interruptions.retry_at(job.spec, snapshot.budgeted)]
    not_before = max((moment for moment in held if moment is not None), default=None)
    if not_before is not None and snapshot.now < not_before:
        return Decision(look_again=not_before, next_attempt=not_before)
    if snapshot.is_open:
        return Decision((CreatePod(run.attempt),))
    return Decision((Mint(Expected.of(run)),))


def _budgets(snapshot: Snapshot) -> Settle | None:
    """A spent budget ends or pauses the run, and a raised one ends the pause. A worker's own waits for a person."""
    run = snapshot.run
    if run.status is RunStatus.SUSPENDED or (run.status is RunStatus.PAUSED and run.reason not in BUDGET_REASONS):
        return None
    spent = ends.spent_budget(snapshot.job.spec, snapshot.budgeted)
    if spent is None:
        if run.status is RunStatus.PAUSED:
            return Settle(Expected.of(run), RunStatus.PENDING, "LimitRaised", "the spent budget was raised")
        return None
    if run.status is spent.to:
        return None
    return Settle(Expected.of(run), spent.to, spent.reason, spent.message)
