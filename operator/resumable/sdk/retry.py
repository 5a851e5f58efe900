"""What becomes of a step that failed: tried again, given up for good, or left to a person.

Pure: no clock, no store. How often it failed is in the record, so an attempt goes on counting where
the one before it stopped. An interruption is no try.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from resumable.sdk.durations import checked_duration
from resumable.sdk.errors import Fatal, InvalidStep, ResumableError

Errors: TypeAlias = type[Exception] | tuple[type[Exception], ...]

DEFAULT_HOLD = "30s"

_MOST_DOUBLINGS = 100  # factor ** 100 is past any maximum, and a float overflows beyond


@dataclass(frozen=True, slots=True)
class TryAgain:
    """After so much time."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """For good: `StepFailed` from now on. `why` is for people."""

    why: str


@dataclass(frozen=True, slots=True)
class AskPerson:
    """The run is paused until somebody acts; then the step runs again."""


@dataclass(frozen=True, slots=True)
class PassOn:
    """No policy: the exception leaves the job, unless the job catches it; the next attempt runs the step again."""


Verdict: TypeAlias = TryAgain | GiveUp | AskPerson | PassOn


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step that raises is tried again, and when.

    ```python
    patient = Retry(max_attempts=5, initial="2s", maximum="10m", on=(OSError, TimeoutError))
    j.options(retry=patient, timeout="30s").step("charge", charge, order)
    ```

    `max_attempts` counts all tries, the first one too, over all attempts of the run; None: no end. The wait after the
    first failure is `initial`, after each further one `factor` times longer, never longer than `maximum`, and changed
    at random by up to `jitter` of itself, so that workers that failed together don't come back together.

    `on`: what is worth another try; anything else that the step raises, and what is named in `give_up_on`, is final at
    once. `hold`: a wait up to that long is spent in the process; for a longer one the process ends (exit code 76)
    and the next one is started in time.

    Raises `InvalidStep` for values that can't be.
    """

    max_attempts: int | None = 3
    initial: str | timedelta = "1s"
    factor: float = 2.0
    maximum: str | timedelta = "5m"
    jitter: float = 0.1
    on: Errors = Exception
    give_up_on: Errors = ()
    hold: str | timedelta = DEFAULT_HOLD
    by_hand: bool = False

    def __post_init__(self) -> None:
        if self.max_attempts is not None and (not isinstance(self.max_attempts, int) or self.max_attempts < 1):
            raise InvalidStep(f"Retry(max_attempts=) is 1 or more, or None for no end, not {self.max_attempts!r}")
        if not (isinstance(self.factor, (int, float)) and self.factor >= 1):
            raise InvalidStep(f"Retry(factor=) is 1 or more, not {self.factor!r}")
        if not (isinstance(self.jitter, (int, float)) and 0 <= self.jitter <= 1):
            raise InvalidStep(f"Retry(jitter=) is a share from 0 to 1, not {self.jitter!r}")
        for name in ("initial", "maximum", "hold"):
            _duration(name, getattr(self, name))
        if _duration("initial", self.initial) > _duration("maximum", self.maximum):
            raise InvalidStep(
                f"Retry(initial={self.initial!r}) is longer than maximum={self.maximum!r}: give a larger maximum="
            )
        for name in ("on", "give_up_on"):
            _check_errors(name, getattr(self, name))

    @classmethod
    def manual(cls) -> "Retry":
        """A failure pauses the run until a person acts; then the step runs again.

        ```python
        j.options(retry=Retry.manual()).step("reconcile", reconcile, books)
        ```
        """
        return cls(max_attempts=None, by_hand=True)

    def applies(self, error: BaseException) -> bool:
        """Whether this error is worth another try."""
        return isinstance(error, self.on) and not isinstance(error, self.give_up_on)

    def delay(self, failures: int, *, luck: float = 0.5) -> timedelta:
        """The wait after so many failures (at least 1). `luck` from 0 to 1 chooses within the jitter; 0.5 is none."""
        initial = _duration("initial", self.initial)
        maximum = _duration("maximum", self.maximum)
        growth = self.factor ** min(failures - 1, _MOST_DOUBLINGS)
        seconds = min(initial.total_seconds() * growth, maximum.total_seconds())
        return timedelta(seconds=seconds * (1 + self.jitter * (2 * luck - 1)))


def verdict(retry: Retry | None, error: BaseException, failures: int, *, luck: float | None = None) -> Verdict:
    """What becomes of a step that has now failed so many times, with this error."""
    if isinstance(error, Fatal):
        return GiveUp("it said that trying again would not help")
    if retry is None or isinstance(error, ResumableError) or not isinstance(error, Exception):
        return (
            PassOn()
        )  # ours: the code is wrong, not the world (a result that can't be stored); sys.exit(): the process
    if retry.by_hand:
        return AskPerson()
    if not retry.applies(error):
        return GiveUp(f"{type(error).__name__} is not tried again")
    if retry.max_attempts is not None and failures >= retry.max_attempts:
        return GiveUp(f"it was tried {failures} time{'s' if failures != 1 else ''}")
    return TryAgain(retry.delay(failures, luck=random.random() if luck is None else luck))


def _duration(name: str, value: str | timedelta) -> timedelta:
    return checked_duration(value, f"Retry({name}=)", raises=InvalidStep, or_zero=True)


def _check_errors(name: str, value: object) -> None:
    for kind in value if isinstance(value, tuple) else (value,):
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            raise InvalidStep(f"Retry({name}=) takes exception types, derived from Exception, not {kind!r:.80}")
