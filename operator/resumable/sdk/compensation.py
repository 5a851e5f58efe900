"""Undoing what was done, when the run fails for good.

`compensate=` says how to undo a step that finished, `j.on_failure` what else to do. When a failure for good leaves the
job, they run, the newest first, before the run is ended. Each is a step of its own: after an interruption the next
attempt replays the job up to the same failure, and goes on with what has not been undone yet.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec

from resumable.sdk.errors import InvalidStep
from resumable.sdk.running_step import inside_step
from resumable.sdk.step_function import is_async
from resumable.state.record import COMPENSATE, ON_FAILURE

if TYPE_CHECKING:
    from resumable.sdk.attempt import Attempt

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class UndoStep:
    """What is run as a step, to undo another one."""

    name: str
    key: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def check_can_be_called(function: Callable[..., Any] | None, what: str) -> None:
    """In a job that isn't async: here, not when the run fails and it is too late. Raises `InvalidStep`."""
    if function is not None and is_async(function):
        raise InvalidStep(f"{what}: {function!r:.80} is an async function; a job that isn't async can't await it")


def check_compensate(function: object) -> None:
    """Raises `InvalidStep`."""
    if function is not None and not callable(function):
        raise InvalidStep(f"compensate= takes a function of the step's result, not {function!r:.80}")


@dataclass
class Undo:
    """What has been registered in this attempt, by steps that ran and by steps that were replayed. Thread-safe."""

    _steps: list[UndoStep] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbered: int = 0

    def of_step(self, name: str, key: str, function: Callable[[Any], object], result: Any) -> None:
        """How to undo a step that has finished."""
        with self._lock:
            self._steps.append(UndoStep(f"{COMPENSATE}{name}", key, function, (result,), {}))

    def on_failure(self, function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What else to do; known by its place among these."""
        with self._lock:
            self._numbered += 1
            self._steps.append(UndoStep(f"{ON_FAILURE}{self._numbered}", "", function, args, kwargs))

    def steps(self) -> list[UndoStep]:
        """What to run, the newest first."""
        with self._lock:
            return self._steps[::-1]


class RegistersUndo:
    """`on_failure`, in a plain job and in an async one."""

    _attempt: "Attempt"
    _undo: Undo
    _awaits = False  # an async job's does

    def on_failure(self, fn: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call `fn(*args, **kwargs)` if the run fails for good: a step failed for good and nothing caught it, `Fatal`
        left the job, or the run's time is over.

        ```python
        j.on_failure(remove_workspace, workspace.id)
        ```

        What was registered last is called first, each as a step (`on-failure:1`, …), so that it is not called again
        when it is done, and is called by the next attempt when this one is interrupted. The job registers it
        whenever its function runs; it must be the same in each attempt, and in the same order. Raises `InvalidStep`,
        also inside a step: no later attempt runs that again.
        """
        if not callable(fn):
            raise InvalidStep(f"on_failure takes a function and its arguments, not {fn!r:.80}")
        self._check_outside_of_steps("on_failure")
        if not self._awaits:
            check_can_be_called(fn, "on_failure")
        self._undo.on_failure(fn, args, kwargs)

    def _check_outside_of_steps(self, what: str) -> None:
        if inside_step.get() or self._attempt.interruption.in_branch:
            raise InvalidStep(
                f"{what} is called inside a step, which no later attempt runs again: what it registers would be lost;"
                " call it in the job's function, or give that step compensate="
            )
