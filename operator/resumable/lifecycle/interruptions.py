"""The budget of interruptions: `spec.interruptions`.

Disruptions never spend the failure budget. They have a budget of their own, which counts only while they bring no
progress (`maxWithoutProgress`, in a row): a job that each interruption throws back to the same place would be started
for ever. It *pauses* the run, whatever `whenExhausted` says: nothing is wrong with the job, and what it did is worth
keeping. `max` bounds all of them.

An interrupted attempt is followed at once. Only when one attempt after the other is cut off before anything began (a
node that rejects each pod while it shuts down) does the back-off apply, from the second on.
"""

from collections.abc import Sequence
from datetime import datetime

from resumable.lifecycle.backoff import next_attempt_at
from resumable.lifecycle.counters import count, interrupted_before_begin, interrupted_without_progress
from resumable.lifecycle.exhausted import INTERRUPTIONS, NO_PROGRESS, Exhausted
from resumable.lifecycle.failures import backoff_of
from resumable.resource.spec import Completion, Spec
from resumable.state.record import Attempt, RunStatus


def exhausted(spec: Spec, attempts: Sequence[Attempt]) -> Exhausted | None:
    """Whether the interruptions of these attempts are too many, and what follows."""
    limits = spec.interruptions
    interruptions = count(attempts).interruptions
    if limits.max is not None and interruptions > limits.max:
        why = f"{interruptions} interruptions are more than spec.interruptions.max {limits.max}. Raise it to go on"
        return Exhausted(RunStatus.PAUSED, INTERRUPTIONS, why)
    fruitless = interrupted_without_progress(attempts)
    # Nothing tells of the progress of a container without the SDK.
    if spec.completion is Completion.RECORD and fruitless > limits.max_without_progress:
        why = (
            f"{fruitless} interruptions in a row brought no progress; spec.interruptions.maxWithoutProgress is "
            f"{limits.max_without_progress}. Let the job save more often, or raise the limit, to go on"
        )
        return Exhausted(RunStatus.PAUSED, NO_PROGRESS, why)
    return None


def retry_at(spec: Spec, attempts: Sequence[Attempt]) -> datetime | None:
    """When the next attempt may start after the interruptions so far; None: they don't hold it back."""
    backoff = backoff_of(spec)
    row = interrupted_before_begin(attempts, within=backoff.maximum)
    if row is None:
        return None
    newest, length = row
    return next_attempt_at(backoff, length - 1, newest)
