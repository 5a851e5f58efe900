"""A finished run whose record is gone because its time was over (`@job(keep=…)`): that is no lost state.

The status tells that it finished, and is all that is left of it. It stays as it is; nothing is started.
"""

from resumable.lifecycle.decision import Condition
from resumable.resource.job import Observed, ResumableJob

# What the status says of the run, as against of the spec and of the store.
_OF_RUN = frozenset({"Running", "Waiting", "Paused", "Suspended", "Complete", "Failed", "Finished"})


def is_finished(job: ResumableJob) -> bool:
    """Whether the status that was written last says that the run is over."""
    finished = job.observed.condition("Finished")
    return finished is not None and finished.status == "True"


def refused(job: ResumableJob) -> tuple[Condition, ...]:
    """What to say of a restart that is asked for too late."""
    asked = job.spec.restart
    if asked is None or asked.request_id == job.observed.observed_restart_id:
        return ()
    message = (
        "spec.restart: the run's record was removed when its time was over; delete this ResumableJob and create it "
        "again to run it from the beginning"
    )
    return (Condition("Accepted", False, "RecordExpired", message),)


def as_it_was(observed: Observed) -> list[Condition]:
    """The conditions of the run as they were written last."""
    states = {"True": True, "False": False}
    return [
        Condition(each.type, states.get(each.status), each.reason, each.message)
        for each in observed.conditions
        if each.type in _OF_RUN
    ]
