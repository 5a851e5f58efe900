"""A run whose undoing has begun is undone to the end, whatever its job's function does this time.

The attempt that began it did not come to its end. The next one calls the function again, because only that says what is
to be undone. It should fail as it did then. Where it doesn't (the run's time was over, or its code had looked at the
clock), it is left where it would begin something new, or when it returns: a run that is undone in part never succeeds.
"""

from resumable.sdk.attempt import Attempt
from resumable.sdk.drift import UNDOING, label
from resumable.sdk.errors import Fatal, StepFailed

UNDOING_BEGAN = "UndoingBegan"

_MESSAGE = (
    "an earlier attempt has begun to undo what was done, and the job's function did not fail again as it did then"
)


def undoing_began(attempt: Attempt) -> bool:
    """Whether an earlier attempt of this generation has begun to undo it; a restart forgets that."""
    return any(name.startswith(UNDOING) for name, _ in (*attempt.done, *attempt.unfinished))


def begin_nothing_new(attempt: Attempt) -> None:
    """Leave the job's function where it would."""
    attempt.before_fresh_step = lambda: attempt.interruption.ask(UNDOING_BEGAN, _MESSAGE)


def not_failed_again(attempt: Attempt) -> StepFailed | Fatal:
    """What the run fails with then: the last step that is known to have failed for good, if there is one."""
    failed = [step for step in attempt.unfinished.values() if step.final]
    if not failed:
        return Fatal(_MESSAGE)
    last = max(failed, key=lambda step: step.ordinal)
    return StepFailed(label((last.name, last.key)), last.error)
