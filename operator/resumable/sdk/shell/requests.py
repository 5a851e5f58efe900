"""What a script can ask of the process that holds the attempt."""

from dataclasses import dataclass
from datetime import timedelta

from resumable.sdk.step_options import StepOptions
from resumable.sdk.wait_run import DEFAULT_HOLD


@dataclass(frozen=True, slots=True)
class RunStep:
    """Run a command, unless the step is done; its standard output is the step's result."""

    name: str
    command: tuple[str, ...]
    options: StepOptions


@dataclass(frozen=True, slots=True)
class TellCursor:
    """What was last saved of the step that this is called in."""


@dataclass(frozen=True, slots=True)
class SaveCursor:
    """How far the step has got; a safe point."""

    cursor: str


@dataclass(frozen=True, slots=True)
class ShowProgress:
    """What `kubectl describe` shows of the step."""

    current: float
    total: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class AwaitSignal:
    """The next signal of this name; a step."""

    name: str
    key: str = ""
    timeout: timedelta | None = None
    hold: str = DEFAULT_HOLD


@dataclass(frozen=True, slots=True)
class Sleep:
    """Until so much later, from when this was first met; a step."""

    name: str
    length: timedelta
    key: str = ""
    hold: str = DEFAULT_HOLD


Request = RunStep | TellCursor | SaveCursor | ShowProgress | AwaitSignal | Sleep
