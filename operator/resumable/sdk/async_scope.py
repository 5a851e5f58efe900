"""Calling a step in an async job: its phases (`step_run`), awaited.

The event loop never waits for the store: what writes goes through one thread (the writes of an attempt are in an order
anyway). A step that is a plain function runs in a thread of its own, and writes there.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from resumable.sdk.async_context import AsyncStepContext
from resumable.sdk.async_leaving import Leaving, StepCall
from resumable.sdk.errors import ControlException, Interrupted, StepNotAwaited
from resumable.sdk.off_loop import OffLoop, off_loop
from resumable.sdk.step_function import is_async
from resumable.sdk.step_run import Replayed, StepRun, StepScope

P = ParamSpec("P")
T = TypeVar("T")

_MOST_THREADS = 64  # of plain functions that run at the same time; further ones wait for their turn


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
        self.leaving = Leaving(steps.attempt.interruption)
        self._writer = ThreadPoolExecutor(1, "resumable-writer")
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
            self._writer.shutdown(wait=False)
            self._threads.shutdown(wait=False)

    async def write(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Something that calls the store, in the one thread for that."""
        return await off_loop(self._writer, function, *args, **kwargs)

    async def in_thread(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Something else that would block the loop."""
        return await off_loop(self._threads, function, *args, **kwargs)

    def step(
        self, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """The step's result, when it is awaited."""
        token = object()
        coroutine = self._step(token, run, fn, args, kwargs)
        self._not_awaited[token] = (run.label, coroutine)
        return coroutine

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

    async def _step(
        self, token: object, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        del self._not_awaited[token]
        with self.steps.attempt.interruption.branch() as branch, self.leaving.call(run.label, branch) as call:
            try:
                replayed = run.enter()
                return await self._carry_on(call, run, fn, args, kwargs) if replayed is None else replayed.value
            except ControlException as leaving:
                await self.leaving.leave(leaving)
            except asyncio.CancelledError:
                if call.leaving is None:
                    raise
                await self.leaving.leave(call.leaving)

    async def _carry_on(
        self, call: StepCall, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
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
                result = await self._in_thread(call, run, lambda: fn(*begun, **kwargs))  # noqa: B023 - ends before
                if isinstance(result, _Awaitable):
                    result = await self._awaited(run, result.awaitable)
            if result is not _AGAIN:
                return result

    async def _awaited(self, run: StepRun, awaitable: Awaitable[Any]) -> Any:
        try:
            result = await awaitable
        except asyncio.CancelledError:
            run.abandon()
            raise
        except BaseException as error:  # noqa: BLE001 - it decides what is a failure
            await self.write(run.failed, error)
            return _AGAIN
        return await self.write(run.finished, result)

    async def _in_thread(self, call: StepCall, run: StepRun, function: Callable[[], Any]) -> Any:
        def run_try() -> Any:
            try:
                result = function()
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
