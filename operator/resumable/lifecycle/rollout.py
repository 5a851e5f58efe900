"""A changed pod template, and `spec.updateStrategy`.

Restart: the running attempt is asked to save and leave, the next one starts with the new template. OnNextAttempt: it
is left alone. A pod that can't start at all (an image that isn't there) has nothing to save: the new template
replaces it under either.
"""

from resumable.lifecycle.pod import Pod
from resumable.lifecycle.snapshot import Snapshot
from resumable.resource.spec import UpdateStrategy


def wanted(snapshot: Snapshot, pod: Pod) -> bool:
    """Whether this live pod has to make room for the new template."""
    job = snapshot.job
    if job.problem is not None or not pod.template_hash or pod.template_hash == job.template_hash:
        return False
    current = snapshot.current
    stuck = pod.blocked is not None and current is not None and current.begun is None
    return job.spec.update_strategy is UpdateStrategy.RESTART or stuck
