"""A step that runs now: what the heartbeat shows of it, and whether its time is over."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from resumable.sdk.drift import label
from resumable.state.store import StepActivity


@dataclass(slots=True)
class RunningStep:
    """A step that runs now, as the heartbeat shows it."""

    name: str
    key: str
    ordinal: int
    began: float = field(default_factory=time.monotonic)
    progress_current: float | None = None
    progress_total: float | None = None
    progress_message: str = ""
    cut_off: bool = False  # its time is over: the job went on without it

    @property
    def label(self) -> str:
        """As people read it: `ship[4711]`."""
        return label((self.name, self.key))

    @property
    def running_ms(self) -> int:
        """Since the step began in this attempt."""
        return int((time.monotonic() - self.began) * 1000)

    def again(self) -> "RunningStep":
        """Its next try."""
        return RunningStep(self.name, self.key, self.ordinal)

    def activity(self) -> StepActivity:
        """What the store is told."""
        return StepActivity(
            name=self.name,
            key=self.key,
            ordinal=self.ordinal,
            running_ms=self.running_ms,
            progress_current=self.progress_current,
            progress_total=self.progress_total,
            progress_message=self.progress_message,
        )


# The try with a timeout that this code runs in: what it calls is cut off with it.
trying: ContextVar[RunningStep | None] = ContextVar("resumable_trying", default=None)

# Whether this code runs inside a step of a plain job; of an async one its `Interruption.in_branch` says it.
inside_step: ContextVar[bool] = ContextVar("resumable_inside_step", default=False)
