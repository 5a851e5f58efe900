"""Calls that would block an event loop, made in a thread and awaited.

A thread can't be stopped. So a task that is cancelled while it awaits one waits for the thread's end all the same, and
is cancelled then: what the thread does never outlives the task that wanted it.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def off_loop(executor: Executor, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The function's result, from a thread of the executor."""
    call = OffLoop(lambda: function(*args, **kwargs))
    executor.submit(call.run)
    return await call.result()


class OffLoop(Generic[T]):
    """One call in a thread. Made where it is awaited."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._woken: asyncio.Future[None] = self._loop.create_future()
        self._ended = False
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """In the thread."""
        try:
            self._value = self._context.run(self._function)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            self._error = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._ended = True
        if not self._woken.done():
            self._woken.set_result(None)

    async def result(self, on_cancel: Callable[[], None] = lambda: None) -> T:
        """What the function returned or raised. `on_cancel` is called when the task is cancelled meanwhile.

        Cancelled, it still raises what is worse than a cancellation: a control exception.
        """
        cancelled: asyncio.CancelledError | None = None
        while not self._ended:
            try:
                await self._woken
            except asyncio.CancelledError as error:
                cancelled = error
                self._woken = self._loop.create_future()
                on_cancel()
        if cancelled is not None and isinstance(self._error, Exception | None):
            raise cancelled
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value
