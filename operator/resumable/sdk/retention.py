"""How long a step's result is kept, and what becomes of a step whose result is kept no longer.

`keep="forever"` is the default. A duration counts from the moment when the step is done, by the store's clock; after it
no attempt gets the result any more, and the store removes it. `keep="until-done"` keeps it until the run has
succeeded: for what only the run itself needs. A function decides from the result:

```python
j.options(keep=lambda token: token.lifetime).step("log-in", log_in)
```

A step whose result is gone is run again, or, with `on_expired="fail"`, is the error `ResultExpired`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias, get_args

from resumable.sdk.durations import duration
from resumable.sdk.errors import InvalidStep, JobDefinitionError

FOREVER: Final = "forever"
UNTIL_DONE: Final = "until-done"

Keep: TypeAlias = str | timedelta
KeepOption: TypeAlias = Keep | Callable[[Any], Keep]
OnExpired: TypeAlias = Literal["run", "fail"]


@dataclass(frozen=True, slots=True)
class Retention:
    """As the store is told. Neither: for ever."""

    expires_after_ms: int | None = None
    until_done: bool = False


KEPT_FOREVER = Retention()

_ON_EXPIRED = get_args(OnExpired)


def check_keep(keep: KeepOption, *, of: str) -> None:
    """Raises `InvalidStep` unless it says how long."""
    if not callable(keep):
        retention(keep, of=of)


def check_on_expired(on_expired: str, *, of: str) -> None:
    """Raises `InvalidStep` unless it is one of the two."""
    if on_expired not in _ON_EXPIRED:
        raise InvalidStep(f"{of}on_expired= is 'run' or 'fail', not {on_expired!r:.80}")


def retention(keep: KeepOption, result: Any = None, *, of: str) -> Retention:
    """How long this result is kept. `of` names the step in errors. Raises `InvalidStep`."""
    asked = keep(result) if callable(keep) else keep
    if asked == FOREVER:
        return KEPT_FOREVER
    if asked == UNTIL_DONE:
        return Retention(until_done=True)
    try:
        return Retention(expires_after_ms=_milliseconds(asked))
    except ValueError as error:
        said = " (it is what keep= returned)" if callable(keep) else ""
        raise InvalidStep(f"{of}keep= is {FOREVER!r}, {UNTIL_DONE!r} or a duration{said}: {error}") from None


def run_kept_ms(job: str, keep: Keep) -> int | None:
    """How many milliseconds a run's record stays when the run is over; None: for ever. Raises `JobDefinitionError`."""
    if keep == FOREVER:
        return None
    try:
        return _milliseconds(keep)
    except ValueError as error:
        raise JobDefinitionError(f"job {job!r}: keep= is {FOREVER!r} or a duration: {error}") from None


def _milliseconds(keep: Keep) -> int:
    length = duration(keep)
    if length <= timedelta(0):
        raise ValueError(f"{keep!r} is no time at all")
    return max(1, round(length.total_seconds() * 1000))
