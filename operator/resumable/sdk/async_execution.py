"""An async job's function, from its call to the moment when nothing of it runs any more."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn

from resumable.sdk.async_job import AsyncJob, AsyncStepCaller
from resumable.sdk.async_scope import AsyncScope
from resumable.sdk.errors import ControlException, Fatal, StepFailed
from resumable.sdk.in_loop import CallersLoop
from resumable.sdk.job import JobDefinition
from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import StepScope


def run_function(
    definition: JobDefinition[..., Any], steps: StepScope, arguments: dict[str, Any], loop: CallersLoop | None
) -> Any:
    """What the job's function returns, or raises. It runs in the loop, or in one of its own in this thread."""
    return _in_loop(lambda: _call(definition, steps, arguments), loop)


def run_undo(definition: JobDefinition[..., Any], steps: StepScope, loop: CallersLoop | None) -> None:
    """Run what was registered to undo the job, the newest first; what was done before is replayed."""
    _in_loop(lambda: _undo(definition, steps), loop)


def _in_loop(function: Callable[[], Coroutine[Any, Any, Any]], loop: CallersLoop | None) -> Any:
    async def boxed() -> tuple[Any, BaseException | None]:
        """A `SystemExit` that leaves a task would end the loop."""
        try:
            return await function(), None
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised outside the loop
            return None, error

    value, error = asyncio.run(boxed()) if loop is None else loop.run(boxed)
    if error is not None:
        raise error
    return value


async def _undo(definition: JobDefinition[..., Any], steps: StepScope) -> None:
    scope = AsyncScope(steps)
    with scope.open():
        try:
            for each in steps.undo.steps():
                options = StepOptions(key=each.key, max_result_bytes=definition.max_result_bytes)
                await AsyncStepCaller(scope, options).step(each.name, each.function, *each.args, **each.kwargs)
        except asyncio.CancelledError as cancelled:
            _cancelled(cancelled, scope)
        finally:
            await scope.leaving.end()


async def _call(definition: JobDefinition[..., Any], steps: StepScope, arguments: dict[str, Any]) -> Any:
    """A control exception, or a step's failure for good, is not hidden in a group of exceptions."""
    scope = AsyncScope(steps)
    leaving = scope.leaving
    steps.attempt.drift.ignore_order()
    j = AsyncJob(definition.name, scope, definition.max_result_bytes)
    with scope.open():
        try:
            value = await definition.function(j, **arguments)
            scope.check_all_awaited()
            return value
        except asyncio.CancelledError as cancelled:
            _cancelled(cancelled, scope)
        except BaseExceptionGroup as group:
            leaf = _leaf(group)
            if leaf is group:
                raise
            raise leaf from None
        finally:
            await leaving.end()


def _cancelled(cancelled: asyncio.CancelledError, scope: AsyncScope) -> NoReturn:
    interruption = scope.steps.attempt.interruption
    task = asyncio.current_task()
    if scope.leaving.main_cancelled and interruption.stop is not None:
        if task is not None:
            task.uncancel()
        interruption.leave(interruption.stop.exception())
    if task is not None and task.cancelling():
        raise cancelled  # by whoever runs the loop
    raise RuntimeError("the job awaited a task that had been cancelled, and let its CancelledError pass") from cancelled


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a `TaskGroup` has hidden: to leave goes before to fail for good, that before any other error."""
    leaves = list(_leaves(group))
    for kind in (ControlException, StepFailed, Fatal):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return group


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
