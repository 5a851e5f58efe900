"""`spec.restart`: run again from a step, or with named steps forgotten, in place.

Carried out once for each `requestID`, from any state: a pod that runs is asked to save and leave first, because what
it would still write belongs to the time before. The record remembers the request, so taking it away or applying the
manifest again does nothing. `spec.cancel` outranks it; a suspended job stays so, and begins there when it is resumed.

A request that names a step which the run has not is refused as a whole: the condition Accepted lists the steps there
are, and nothing is stopped or changed.
"""

from collections.abc import Sequence

from resumable.lifecycle.decision import Condition, Restart
from resumable.lifecycle.snapshot import Snapshot
from resumable.lifecycle.summary import cut, step_label
from resumable.resource.job import ResumableJob
from resumable.resource.spec import RestartSpec, StepSpec
from resumable.state.record import Run, Step, StepRef
from resumable.state.store import Expected, RestartRequest

RESTARTED = "Restarted"  # the run's reason afterwards, written by the store

_LISTED = 30


def is_new(job: ResumableJob, run: Run) -> bool:
    """Whether the job asks for a restart that was not carried out yet."""
    return job.spec.restart is not None and job.spec.restart.request_id != run.restart_id


def wanted(snapshot: Snapshot) -> bool:
    """Whether a restart is due. What is wrong with it was found out by whoever read the snapshot."""
    job = snapshot.job
    return is_new(job, snapshot.run) and not job.spec.cancel and not job.restart_problem


def action(snapshot: Snapshot) -> Restart | None:
    """While no pod lives and the last attempt's end is counted: restart."""
    asked = snapshot.job.spec.restart
    if asked is None or snapshot.is_open or not wanted(snapshot):
        return None
    if snapshot.run.attempt == 0:  # a new run, of a manifest that still has the request: there is nothing to forget
        return Restart(Expected.of(snapshot.run), RestartRequest(request_id=asked.request_id))
    return Restart(Expected.of(snapshot.run), request_of(asked))


def refused(job: ResumableJob) -> tuple[Condition, ...]:
    """What to say of a request that can't be carried out; a spec that is wrong as a whole is said first."""
    if not job.restart_problem or job.problem is not None or job.deleting_since is not None:
        return ()
    return (Condition("Accepted", False, "RestartStepNotFound", job.restart_problem),)


def request_of(asked: RestartSpec) -> RestartRequest:
    """`spec.restart` as the store takes it."""
    return RestartRequest(
        request_id=asked.request_id,
        from_step=_ref(asked.from_step) if asked.from_step else None,
        forget=tuple(map(_ref, asked.forget)),
    )


def problem_of(asked: RestartSpec, run: Run, steps: Sequence[Step]) -> str:
    """What is wrong with the request, given all steps of the run; "": nothing."""
    if run.attempt == 0:
        return ""
    named = {"spec.restart.fromStep": asked.from_step} if asked.from_step else {}
    named |= {f"spec.restart.forget[{number}]": step for number, step in enumerate(asked.forget)}
    for field, ref in named.items():
        if not any(step.name == ref.name and ref.key in (None, step.key) for step in steps):
            key = f"[{ref.key}]" if ref.key else ""
            return f"{field}: the run has no step {cut(ref.name + key, 80)!r}; its steps are {_names(steps)}"
    return ""


def _names(steps: Sequence[Step]) -> str:
    """The steps to choose from; of one with many keys the first few lead the way."""
    labels = [step_label(step) for step in steps[:_LISTED]]
    more = f" and {len(steps) - _LISTED} more (`resumable describe`)" if len(steps) > _LISTED else ""
    return (", ".join(labels) or "none yet") + more


def _ref(step: StepSpec) -> StepRef:
    return StepRef(step.name, step.key)
