"""`spec.cancel`: end the run for good. What the worker finished before it heard of it stands, also a whole success."""

from resumable.lifecycle.decision import Settle
from resumable.lifecycle.snapshot import Snapshot
from resumable.state.record import RunStatus
from resumable.state.store import Expected


def settle(snapshot: Snapshot) -> Settle | None:
    """While no pod lives: end the run."""
    if not snapshot.job.spec.cancel:
        return None
    return Settle(Expected.of(snapshot.run), RunStatus.CANCELLED, "Cancelled", "spec.cancel is true")
