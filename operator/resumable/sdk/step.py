"""Calling a step: replay what is stored, else run it once and store how it ended."""

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from resumable.sdk import codec
from resumable.sdk.attempt import Attempt, RunningStep
from resumable.sdk.context import StepContext
from resumable.sdk.durations import readable
from resumable.sdk.errors import ControlException, InvalidStep
from resumable.sdk.step_function import shape
from resumable.sdk.traces import one_line

log = logging.getLogger("resumable")

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")

_LONGEST_NAME = 200
_LONGEST_ERROR = 2000
_WORTH_A_LINE_MS = 1000


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What can be said about a step beside its name and function."""

    key: str = ""
    max_result_bytes: int = codec.DEFAULT_LIMIT


class StepCaller:
    """The one typed way to call a step. `Job` is one, and so is what `Job.options(...)` returns."""

    def __init__(self, attempt: Attempt, checkpoint_root: Path | None, options: StepOptions) -> None:
        self._attempt = attempt
        self._checkpoint_root = checkpoint_root
        self._options = options

    @overload
    def step(
        self, name: str, fn: Callable[Concatenate[StepContext[C], P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def step(self, name: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def step(self, name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The step's result: of this call, or stored by an earlier attempt that finished it.

        A first parameter of `fn` that is annotated `StepContext` gets one. An exception of `fn` is recorded and
        passes on; the next attempt runs the step again. Raises `DuplicateStep` when the name was met before in this
        attempt (give the passes of a loop a key: `j.options(key=…).step(…)`), and `UnstorableResult`. The way in is a
        safe point.
        """
        _check(name, fn)
        running = self._attempt.enter(name, self._options.key)
        self._attempt.interruption.safe_point()
        stored = self._attempt.done.get((name, self._options.key))
        if stored is None:
            return self._run(running, fn, args, kwargs)
        if stored.result is None:
            return None
        return codec.decode(stored.result, shape(fn).result, of=f"step {running.label!r}: the result")

    def _run(self, running: RunningStep, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        function = shape(fn)
        attempt = self._attempt
        attempt.show(running)
        try:
            context: StepContext[Any] | None = None
            if function.takes_context:
                context = StepContext(attempt, running, function.cursor, self._checkpoint_root)
                args = (context, *args)
            _log_beginning(running, context)
            result = fn(*args, **kwargs)
            attempt.interruption.raise_if_left()
            encoded = codec.encode(
                result,
                function.result,
                of=f"step {running.label!r}: the result",
                limit=self._options.max_result_bytes,
                limit_name="max_result_bytes=",
            )
            attempt.before_write()  # here, where a payload that can't be stored still fails the step
        except (ControlException, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            attempt.interruption.raise_if_left()  # it was asked to leave and said so with an exception of its own
            log.error(
                "step %s: failed after %s: %s", running.label, readable(running.running_ms / 1000), one_line(error)
            )
            attempt.finish_step(running, error=one_line(error)[:_LONGEST_ERROR])
            raise
        finally:
            attempt.hide(running)
        attempt.finish_step(running, result=encoded)
        in_a_fast_loop = running.key and running.running_ms < _WORTH_A_LINE_MS
        level = logging.DEBUG if in_a_fast_loop else logging.INFO
        log.log(level, "step %s: done in %s", running.label, readable(running.running_ms / 1000))
        if context is not None:
            context._close()
        return result


def _check(name: str, fn: Callable[..., Any]) -> None:
    if not isinstance(name, str) or not name or len(name) > _LONGEST_NAME:
        raise InvalidStep(f"a step's name is a text of 1 to {_LONGEST_NAME} characters, not {name!r:.80}")
    if not callable(fn):
        raise InvalidStep(
            f"step {name!r}: {fn!r:.80} is not a function; give the function and its arguments, not what it returns"
        )
    if inspect.iscoroutinefunction(fn):
        raise InvalidStep(f"step {name!r}: {fn!r:.80} is an async function; a job that isn't async can't await it")


def _log_beginning(running: RunningStep, context: StepContext[Any] | None) -> None:
    if context is not None and context.cursor is not None:
        log.info("step %s: goes on from cursor %.100r", running.label, context.cursor)
    else:
        log.debug("step %s: begins", running.label)
