"""Lost state never means "start again".

A record that is missing where there should be one, or that is older than what was seen of it, shows that the store
was emptied, exchanged or restored from a backup. Nothing is started, nothing is stopped, nothing is counted until the
right store is back or a person accepts the one that is there, in the way that the message gives.
"""

from collections.abc import Sequence

from resumable.lifecycle import expired
from resumable.lifecycle.decision import Condition
from resumable.lifecycle.pod import Pod
from resumable.resource.job import ResumableJob
from resumable.state.record import RunView


def find(job: ResumableJob, view: RunView | None, pods: Sequence[Pod], store_uuid: str) -> Condition | None:
    """What shows that state was lost, as the condition `Paused`; None: nothing does."""
    known = job.observed
    if store_uuid and known.store_uuid and known.store_uuid != store_uuid:
        return _paused(
            "OtherStore",
            f"this is store {store_uuid}, the run was last seen in store {known.store_uuid}. Give the operator the "
            f"store that has the run, or accept this one: {_patch(job, 'storeUUID', 'null')}",
        )
    seen = max((known.attempt, *(pod.attempt for pod in pods)))
    if view is None:
        if seen == 0 or expired.is_finished(job):
            return None
        return _paused(
            "RecordMissing",
            f"the store has no record of this run although its attempt {seen} was seen. Restore the store, or delete "
            "this ResumableJob and create it again to start from the beginning",
        )
    if view.run.attempt < seen:
        return _paused(
            "RecordWentBack",
            f"the store knows attempts up to {view.run.attempt} although attempt {seen} was seen: it went back in "
            "time. Restore the newer state, or accept the older one: delete pods of attempts above "
            f"{view.run.attempt}, then {_patch(job, 'attempt', str(view.run.attempt))}",
        )
    return None


def _paused(reason: str, message: str) -> Condition:
    return Condition("Paused", True, reason, message)


def _patch(job: ResumableJob, field: str, value: str) -> str:
    patch = f'{{"status":{{"{field}":{value}}}}}'
    return f"kubectl patch rj {job.name} -n {job.namespace} --subresource=status --type=merge -p '{patch}'"
