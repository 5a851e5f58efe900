"""What can be said about a step before it is called: `j.options(key=…, …).step(…)`.

Options come before the call and not among its arguments, because those are the function's own: an option named `key`
there would take the function's `key` away, and no type checker could tell the two apart.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args

from resumable.sdk.codec import DEFAULT_LIMIT
from resumable.sdk.compensation import check_compensate
from resumable.sdk.effects import AT_LEAST_ONCE, Effect, OnUnknown, check_effect
from resumable.sdk.errors import InvalidStep
from resumable.sdk.retention import FOREVER, KeepOption, OnExpired, check_keep, check_on_expired
from resumable.sdk.retry import Retry
from resumable.sdk.step_timeout import check_timeout

CallerT = TypeVar("CallerT")

CodecOption: TypeAlias = Literal["json", "pickle"]

_CODECS = get_args(CodecOption)
_LONGEST_KEY = 200
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class StepOptions:
    """The options of one step. Raises `InvalidStep`, which names the option and what it may be."""

    key: str = ""
    renamed_from: str = ""
    max_result_bytes: int = DEFAULT_LIMIT
    keep: KeepOption = FOREVER
    on_expired: OnExpired = "run"
    retry: Retry | None = None
    timeout: timedelta | None = None
    codec: CodecOption = "json"
    effect: Effect = AT_LEAST_ONCE
    on_unknown: OnUnknown | None = None  # None: "ask"
    compensate: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.max_result_bytes, int) or self.max_result_bytes < 1:
            raise InvalidStep(f"max_result_bytes= is a number of bytes, 1 or more, not {self.max_result_bytes!r}")
        if self.renamed_from != "":
            check_name(self.renamed_from, of="renamed_from=: ")
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise InvalidStep(f"retry= takes a Retry, as in Retry(max_attempts=5), not {self.retry!r:.80}")
        if self.codec not in _CODECS:
            raise InvalidStep(f"codec= is 'json' or 'pickle', not {self.codec!r:.80}")
        check_compensate(self.compensate)
        check_effect(self.effect, self.on_unknown)
        if self.keep is not FOREVER:
            check_keep(self.keep, of="")
        check_on_expired(self.on_expired, of="")

    @property
    def pickled(self) -> bool:
        """Whether the result is stored, and may be read, as a pickle."""
        return self.codec == "pickle"


class TakesOptions(ABC, Generic[CallerT]):
    """The one place where options are given; `CallerT` calls the step with them, in a plain job or an async one."""

    @property
    @abstractmethod
    def _options(self) -> StepOptions:
        """What holds when nothing is said."""

    @abstractmethod
    def _caller(self, options: StepOptions) -> CallerT: ...

    def options(
        self,
        *,
        key: object = None,
        retry: Retry | None = None,
        timeout: str | timedelta | None = None,
        effect: Effect = AT_LEAST_ONCE,
        on_unknown: OnUnknown | None = None,
        compensate: Callable[[Any], object] | None = None,
        renamed_from: str = "",
        max_result_bytes: int | None = None,
        keep: KeepOption = FOREVER,
        on_expired: OnExpired = "run",
        codec: CodecOption = "json",
    ) -> CallerT:
        """Say more about a step: `j.options(key=product.id, retry=Retry(max_attempts=5)).step("ship", ship, product)`.

        `key` tells the passes of a loop apart and must be the same in each attempt: an id, not a random number. It is
        kept as text.

        `retry`: what becomes of the step when it raises, see `Retry`. Without one the exception leaves the step; if it
        leaves the job too, the next attempt runs the step again.

        `timeout`: how long one try may take ("30s"); then the step fails with `StepTimeout`, and a plain function's
        thread is left to itself, unable to save.

        `effect="at-most-once"`: its start is recorded before it runs. When a later attempt finds a start without an
        end, nobody knows whether it took effect: `on_unknown` says whether to pause the run until a person has found
        out ("ask", the default), to take it as done with the result None ("skip"), or to run it again ("retry").

        `compensate`: undoes the step; called with its result if the run fails for good afterwards, see `on_failure`.

        `renamed_from`: the step's earlier name; what is stored under that is this step's.
        `max_result_bytes` limits the stored result (default: the job's).

        `keep`: how long the result is kept: "forever", a duration ("7d"), "until-done" (until the run has succeeded),
        or a function that says so from the result. A step whose result is kept no longer is run again when it is met,
        or fails with `ResultExpired`: `on_expired`.

        `codec="pickle"` stores what JSON can't, by the class's name. Reading a pickle runs code: use it only where
        everybody who can write to the store may also run code in your workers.

        Raises `InvalidStep`.
        """
        return self._caller(
            StepOptions(
                key=key_text(key),
                keep=keep,
                on_expired=on_expired,
                retry=retry,
                timeout=check_timeout(timeout),
                codec=codec,
                effect=effect,
                on_unknown=on_unknown,
                compensate=compensate,
                renamed_from=renamed_from,
                max_result_bytes=self._options.max_result_bytes if max_result_bytes is None else max_result_bytes,
            )
        )


def check_name(name: str, *, of: str = "") -> None:
    """Raises `InvalidStep` unless it can be a step's name. `of` says in errors where it was given."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidStep(f"{of}a step's name is a text of 1 to {_LONGEST_NAME} characters, not {name!r:.80}")


def key_text(key: object) -> str:
    """A step's key as it is kept; "" when it has none. Raises `InvalidStep`."""
    if key is None:
        return ""
    text = str(key)
    if not 0 < len(text) <= _LONGEST_KEY:
        raise InvalidStep(f"a step's key is a text of 1 to {_LONGEST_KEY} characters, not {text!r:.80}")
    return text
