"""What a job's function sees of its attempt, in a plain job and in an async one."""

import functools
from datetime import timedelta
from typing import Any, TypeVar, overload

from resumable.sdk import codec
from resumable.sdk.drift import label
from resumable.sdk.job_log import JobLog
from resumable.sdk.payload import Payload
from resumable.sdk.step_options import check_name, key_text
from resumable.sdk.step_run import StepScope

T = TypeVar("T")


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

    @overload
    def result(self, name: str, kind: type[T], /, *, key: object = None) -> T: ...

    @overload
    def result(self, name: str, /, *, key: object = None) -> Any: ...

    def result(self, name: str, kind: Any = Any, /, *, key: object = None) -> Any:
        """What a step that is done returned, in this attempt or in an earlier one, as `kind` (default: plain JSON).

        ```python
        def ship(j: Job, product: Product) -> None:
            customer = j.result("create-customer", Customer)
        ```

        It asks no store: an attempt knows all that is stored. Raises `InvalidStep` for a step that has not finished,
        `ResultExpired`, `UnreadableResult`.
        """
        check_name(name)
        step = (name, key_text(key))
        stored = self._attempt.result_of(step)
        return None if stored is None else codec.decode(stored, kind, of=f"step {label(step)}: the result")

    @property
    def replaying(self) -> bool:
        """Whether this attempt still catches up: it has met only steps that were done before, and more of them follow.

        For what should not be said twice, never for what the job does: code may change between attempts.
        """
        return self._attempt.replaying

    @functools.cached_property
    def log(self) -> JobLog:
        """A logger (`resumable.job.<name>`) that is quiet while the job is `replaying`: `j.log.info("loaded %d", n)`.

        A line is written at least once. Its record has `run` and `attempt` for structured logs.
        """
        return JobLog(self.name, self.run_id, self.attempt, lambda: self._attempt.replaying)

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to leave."""
        return self._attempt.interruption.stopping

    def remaining(self) -> timedelta | None:
        """How long is left to save and leave; None while nobody asked."""
        return self._attempt.interruption.remaining()
