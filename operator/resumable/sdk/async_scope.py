"""Calling a step in an async job: its phases (`step_run`), awaited.

The event loop never waits for the store: what writes does so in a thread. Results and cursors of different steps may
be under way at the same time, so that a store can commit them together. A step that is a plain function runs in a
thread of its own, and writes there.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from resumable.sdk.async_context import AsyncStepContext
from resumable.sdk.async_leaving import Leaving, StepCall
from resumable.sdk.errors import ControlException, Interrupted, StepNotAwaited, Waiting
from resumable.sdk.off_loop import OffLoop, off_loop
from resumable.sdk.step_function import is_async
from resumable.sdk.step_run import Replayed, StepRun, StepScope
from resumable.sdk.step_timeout import call_within

P = ParamSpec("P")
T = TypeVar("T")

_MOST_THREADS = 64  # of plain functions that run at the same time; further ones wait for their turn
_MOST_WRITES = 16
_LOOK_AGAIN_SECONDS = 1.0  # a wait, while other steps keep the process


class _Again:
    """The try failed and is worth another one."""


_AGAIN = _Again()


@dataclass(frozen=True, slots=True)
class _Awaitable:
    """A plain function has returned something to await."""

    awaitable: Awaitable[Any]


class AsyncScope:
    """What all steps of one async attempt share. Lives in its event loop."""

    def __init__(self, steps: StepScope) -> None:
        self.steps = steps
        self.leaving = Leaving(steps.attempt.interruption, steps.attempt.now)
        self._writers = ThreadPoolExecutor(_MOST_WRITES, "resumable-writer")  # begins a thread when all others are busy
        self._alone = ThreadPoolExecutor(1, "resumable-writer-alone")
        self._threads = ThreadPoolExecutor(_MOST_THREADS, "resumable-step")
        self._not_awaited: dict[object, tuple[str, Coroutine[Any, Any, Any]]] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Around the job's function."""
        try:
            with self.leaving.watching():
                yield
        finally:
            for _, coroutine in self._not_awaited.values():
                coroutine.close()
            self._writers.shutdown(wait=False)
            self._alone.shutdown(wait=False)
            self._threads.shutdown(wait=False)

    async def write(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Something that stores what belongs to one step."""
        return await off_loop(self._writers, function, *args, **kwargs)

    async def write_alone(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Something that reads or stores what steps share, such as signals: one after the other."""
        return await off_loop(self._alone, function, *args, **kwargs)

    async def in_thread(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Something else that would block the loop."""
        return await off_loop(self._threads, function, *args, **kwargs)

    def call(
        self,
        label: str,
        enter: Callable[[], Replayed | None],
        go_on: Callable[[StepCall], Coroutine[Any, Any, Any]],
    ) -> Coroutine[Any, Any, Any]:
        """The result of a step, a wait or a map, when it is awaited. `go_on` is called again after a `Waiting` that the
        job could not leave for, because other steps run.
        """
        token = object()
        coroutine = self._call(token, label, enter, go_on)
        self._not_awaited[token] = (label, coroutine)
        return coroutine

    def step(
        self, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """A step's result, when it is awaited."""
        return self.call(run.label, run.enter, lambda call: self.carry_on(call, run, fn, args, kwargs))

    async def item(self, run: StepRun, fn: Callable[..., Any], item: Any) -> Any:
        """The result of a step that has been entered. Raises `Waiting` at once."""
        with self.steps.attempt.interruption.branch() as branch, self.leaving.call(run.label, branch) as call:
            try:
                return await self.carry_on(call, run, fn, (item,), {})
            except Waiting:
                raise
            except ControlException as leaving:
                await self.leaving.leave(leaving)
            except asyncio.CancelledError:
                if call.leaving is None:
                    raise
                await self.leaving.leave(call.leaving)

    async def at_the_same_time(self, work: Callable[[], Coroutine[Any, Any, None]], tasks: int) -> None:
        """Several tasks of the same work, to the end of all."""
        if not tasks:
            return
        running = [asyncio.create_task(work()) for _ in range(tasks)]
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError:
            for task in running:
                if not task.cancelling():
                    task.cancel()
            await asyncio.wait(running)
            raise
        for task in running:
            task.result()

    def is_cancellation(self, error: BaseException) -> bool:
        """Whether a task was cancelled, and has not failed."""
        return isinstance(error, asyncio.CancelledError)

    def check_all_awaited(self) -> None:
        """The job's function has returned. Raises `StepNotAwaited`."""
        never = [label for label, _ in self._not_awaited.values()]
        if never:
            raise StepNotAwaited(
                f"step {', '.join(never[:5])} was never run: its call was not awaited; write `await j.step(…)`"
            )
        if running := self.leaving.running():
            raise StepNotAwaited(
                f"step {', '.join(running[:5])} was still running when the job's function returned, and was cancelled;"
                " await the task that runs it"
            )

    async def _call(
        self,
        token: object,
        label: str,
        enter: Callable[[], Replayed | None],
        go_on: Callable[[StepCall], Coroutine[Any, Any, Any]],
    ) -> Any:
        del self._not_awaited[token]
        with self.steps.attempt.interruption.branch() as branch, self.leaving.call(label, branch) as call:
            try:
                replayed = enter()
                if replayed is not None:
                    return replayed.value
                while True:
                    try:
                        return await go_on(call)
                    except Waiting as waiting:
                        await self.leaving.leave(waiting, patience=_LOOK_AGAIN_SECONDS)
                        branch.left = None
            except ControlException as leaving:
                await self.leaving.leave(leaving)
            except asyncio.CancelledError:
                if call.leaving is None:
                    raise
                await self.leaving.leave(call.leaving)

    async def carry_on(
        self, call: StepCall, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run an entered step to its end."""
        while True:
            seconds = run.pause()
            if seconds > 0:
                await self.leaving.sleep(seconds)
            begun = await self.write(run.begin, args) if run.begin_writes else run.begin(args)
            if isinstance(begun, Replayed):
                return begun.value
            if is_async(fn):
                if run.context is not None:
                    begun = (AsyncStepContext(run.context, self), *begun[1:])
                result = await self._awaited(run, fn(*begun, **kwargs))
            else:
                result = await self._in_thread(call, run, functools.partial(fn, *begun, **kwargs))
                if isinstance(result, _Awaitable):
                    result = await self._awaited(run, result.awaitable)
            if result is not _AGAIN:
                return result

    async def _awaited(self, run: StepRun, awaitable: Awaitable[Any]) -> Any:
        limit = None if run.options.timeout is None else run.options.timeout.total_seconds()
        try:
            async with asyncio.timeout(limit) as timeout:
                result = await awaitable
        except asyncio.CancelledError:
            run.abandon()
            raise
        except BaseException as error:  # noqa: BLE001 - it decides what is a failure
            if timeout.expired():
                await self.write(lambda: run.failed(run.timed_out()))  # both may have to wait for the store
            else:
                await self.write(run.failed, error)
            return _AGAIN
        return await self.write(run.finished, result)

    async def _in_thread(self, call: StepCall, run: StepRun, function: Callable[[], Any]) -> Any:
        def run_try() -> Any:
            try:
                result = _within(run, function)
            except BaseException as error:  # noqa: BLE001 - it decides what is a failure
                run.failed(error)
                return _AGAIN
            return _Awaitable(result) if inspect.isawaitable(result) else run.finished(result)

        def ask_to_leave() -> None:
            call.branch.asked = cancelled

        cancelled = Interrupted("StepCancelled", f"step {run.label}: the task that awaits it was cancelled")
        call.in_thread = True
        thread = OffLoop(run_try)
        self._threads.submit(thread.run)
        try:
            return await thread.result(ask_to_leave)
        except Interrupted as leaving:
            if leaving is cancelled:
                raise asyncio.CancelledError from None
            raise
        finally:
            call.in_thread = False


def _within(run: StepRun, function: Callable[[], Any]) -> Any:
    limit = run.options.timeout
    if limit is None:
        return function()
    return call_within(
        limit, run.cut_off_with(function), cut_off=run.timed_out, thread_name=f"resumable-step-{run.name}"
    )
