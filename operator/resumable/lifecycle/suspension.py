"""`spec.suspend`: interrupt, wait for the save, keep the state, no pod; and go on when it is taken back.

Taken back before the pod is terminal it waits for that all the same: the worker was told to leave and will. A paused
run that is suspended and resumed is tried again: a person looked at it.
"""

from resumable.lifecycle.decision import Settle
from resumable.lifecycle.snapshot import Snapshot
from resumable.state.record import RunStatus
from resumable.state.store import Expected


def settle(snapshot: Snapshot) -> Settle | None:
    """While no pod lives: suspend the run, or let it go on."""
    run = snapshot.run
    if snapshot.job.spec.suspend:
        if run.status is RunStatus.SUSPENDED:
            return None
        return Settle(Expected.of(run), RunStatus.SUSPENDED, "Suspended", "spec.suspend is true")
    if run.status is RunStatus.SUSPENDED:
        return Settle(Expected.of(run), RunStatus.PENDING, "Resumed", "spec.suspend is false")
    return None
