"""What a job's function sees of its attempt, in a plain job and in an async one."""

from datetime import timedelta

from resumable.sdk.payload import Payload
from resumable.sdk.step_run import StepScope


class AttemptView:
    """The facts. Whatever stores or waits is the job's own."""

    def __init__(self, name: str, scope: StepScope) -> None:
        self.name = name
        self._attempt = scope.attempt

    @property
    def run_id(self) -> str:
        """The run's id: the same in all its attempts."""
        return self._attempt.fence.run_id

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._attempt.fence.attempt

    @property
    def payload(self) -> Payload:
        """What all steps share, a small JSON object: stored with the next result or cursor, when the job is
        interrupted, and at its end. `j.payload.typed(MyTypedDict)` gives its values types.
        """
        return self._attempt.payload

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to leave."""
        return self._attempt.interruption.stopping

    def remaining(self) -> timedelta | None:
        """How long is left to save and leave; None while nobody asked."""
        return self._attempt.interruption.remaining()
