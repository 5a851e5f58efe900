"""Calling a step in a plain job: its phases (`step_run`), one after the other, in the thread that calls."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from resumable.sdk.compensation import check_can_be_called
from resumable.sdk.context import StepContext
from resumable.sdk.errors import InvalidStep
from resumable.sdk.map import MapsItems
from resumable.sdk.running_step import inside_step
from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import Replayed, StepRun, StepScope
from resumable.sdk.step_timeout import call_within
from resumable.sdk.transaction import RunsTransactions
from resumable.sdk.waits import Waits

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")


class StepCaller(RunsTransactions, MapsItems, Waits):
    """The one typed way to call a step. `Job` is one, and so is what `Job.options(...)` returns."""

    def __init__(self, scope: StepScope, options: StepOptions) -> None:
        check_can_be_called(options.compensate, "compensate=")
        self._scope = scope
        self._said = options

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
        run = StepRun(self._scope, self._said, name, fn)
        if run.shape.is_coroutine:
            raise InvalidStep(f"step {name!r}: {fn!r:.80} is an async function; a job that isn't async can't await it")
        return self._drive(run, fn, args, kwargs)

    def _drive(self, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        replayed = run.enter()
        return self._carry_on(run, fn, args, kwargs) if replayed is None else replayed.value

    def _carry_on(self, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        while True:
            self._wait(run.pause())
            begun = run.begin(args)
            if isinstance(begun, Replayed):
                return begun.value
            try:
                result = self._call(run, fn, begun, kwargs)
            except BaseException as error:  # noqa: BLE001 - it decides what is a failure
                run.failed(error)
            else:
                return run.finished(result)

    def _call(self, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        limit = run.options.timeout
        outside = inside_step.set(True)
        try:
            if limit is None:
                return fn(*args, **kwargs)
            call = run.cut_off_with(lambda: fn(*args, **kwargs))
            return call_within(limit, call, cut_off=run.timed_out, thread_name=f"resumable-{run.name}")
        finally:
            inside_step.reset(outside)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._scope.attempt.interruption.wait(seconds)
