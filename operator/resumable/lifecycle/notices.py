"""Kubernetes Events: one for each transition of a run, never one per step.

They follow from the actions of a round and from conditions that the last written status does not show yet, so the same
snapshot gives the same events and a quiet round gives none.
"""

from collections.abc import Iterable, Sequence

from resumable.lifecycle import restart, waiting
from resumable.lifecycle.decision import (
    Action,
    Condition,
    CountEnd,
    Mint,
    Notice,
    RequestStop,
    Restart,
    SetInput,
    Settle,
)
from resumable.resource.job import ResumableJob
from resumable.state.record import EndKind, RunStatus, RunView, StepRef
from resumable.state.store import AttemptEnd, RestartRequest

_MESSAGE_LIMIT = 1000  # the API server's for an Event's note

_NEW_BEGINNINGS = frozenset({waiting.SIGNAL_RECEIVED, waiting.TIMER_DUE, restart.RESTARTED})

_NORMAL, _WARNING = "Normal", "Warning"


def notices_of(
    job: ResumableJob, view: RunView | None, actions: Iterable[Action], conditions: Sequence[Condition]
) -> tuple[Notice, ...]:
    """What to tell people about this round."""
    notices = [notice for action in actions for notice in _of_action(job, view, action)]
    notices += [
        Notice(_WARNING, condition.reason, condition.message) for condition in conditions if _is_new(job, condition)
    ]
    return tuple(Notice(each.type, each.reason, each.message[:_MESSAGE_LIMIT]) for each in notices)


def _of_action(job: ResumableJob, view: RunView | None, action: Action) -> list[Notice]:
    match action:
        case Mint(attempt=1):
            return [Notice(_NORMAL, "Started", f"attempt 1 starts in pod {job.pod_name(1)}")]
        case Mint(attempt=number):
            after = f" after {_what_led_to_it(view)}" if view is not None and view.attempts else ""
            done = f"; {_steps_done(view.steps_done)}" if view is not None and view.steps_done else ""
            return [Notice(_NORMAL, "Resumed", f"attempt {number} starts in pod {job.pod_name(number)}{after}{done}")]
        case RequestStop(attempt=number, reason=reason):
            return [Notice(_NORMAL, "StopRequested", f"attempt {number} is asked to save and leave: {reason}")]
        case SetInput():
            return [Notice(_NORMAL, "InputChanged", "the changed spec.input is used from the next attempt on")]
        case Settle(to=to, reason=reason, message=message):
            kind = _WARNING if to in (RunStatus.PAUSED, RunStatus.FAILED) else _NORMAL
            return [Notice(kind, reason, message or f"the run is {to} now")]
        case Restart(request=request):
            return [Notice(_NORMAL, "Restarted", f"the run starts again {_from_where(request)}")]
        case CountEnd(end=end):
            return _of_end(end, view)
    return []


def _what_led_to_it(view: RunView) -> str:
    """Why there is a next attempt: what ended a wait or what a person asked for, else the last one's end."""
    begun_by = view.run.reason
    return begun_by if begun_by in _NEW_BEGINNINGS else view.attempts[-1].cause


def _from_where(request: RestartRequest) -> str:
    steps = [f"from {_label(request.from_step)}"] if request.from_step else []
    if request.forget:
        steps.append(f"without {', '.join(map(_label, request.forget))}")
    return (" and ".join(steps) or "with all that is stored") + f" (request {request.request_id})"


def _label(step: StepRef) -> str:
    return f"step {step.name}[{step.key}]" if step.key else f"step {step.name}"


def _of_end(end: AttemptEnd, view: RunView | None) -> list[Notice]:
    where = f"attempt {end.attempt} (pod {end.pod_name}" + (f" on {end.node})" if end.node else ")")
    why = f": {end.message}" if end.message else ""
    notices = []
    match end.kind:
        case EndKind.INTERRUPTION:
            notices.append(Notice(_NORMAL, "Interrupted", f"{where} was ended by {end.cause}{why}"))
        case EndKind.REQUESTED:
            notices.append(Notice(_NORMAL, "Stopped", f"{where} saved and left: {end.cause}"))
        case EndKind.FAILURE:
            code = "" if end.exit_code is None else f" with exit code {end.exit_code}"
            notices.append(Notice(_WARNING, "AttemptFailed", f"{where} failed by {end.cause}{code}{why}"))
    if view is not None and end.attempt != view.run.attempt:  # an older one: nothing becomes of the run
        return notices
    match end.to:
        case RunStatus.SUCCEEDED:
            done = view.steps_done if view is not None else 0
            notices.append(
                Notice(_NORMAL, "Complete", f"the run succeeded in attempt {end.attempt}; {_steps_done(done)}")
            )
        case RunStatus.FAILED:
            notices.append(Notice(_WARNING, "Failed", f"the run failed: {end.reason or end.cause}{why}"))
        case RunStatus.WAITING if view is not None:
            notices.append(Notice(_NORMAL, "Waiting", f"no pod is kept while it waits: {waiting.message_of(view.run)}"))
        case RunStatus.PAUSED:
            notices.append(Notice(_WARNING, "Paused", f"the run is paused, a person must look: {end.reason}{why}"))
        case RunStatus.CANCELLED | RunStatus.SUSPENDED:
            notices.append(Notice(_NORMAL, str(end.to), f"the run is {end.to}: {end.reason}"))
    return notices


def _steps_done(number: int) -> str:
    return f"{number} step is done" if number == 1 else f"{number} steps are done"


def _is_new(job: ResumableJob, condition: Condition) -> bool:
    """Whether this is trouble that the last written status does not tell of yet."""
    if condition.type in ("Running", "Accepted") and condition.status is True:
        return False
    old = job.observed.condition(condition.type)
    return old is None or old.reason != condition.reason
