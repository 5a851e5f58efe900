"""A run inside a program that has an event loop: `await job.arun(…)`."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from resumable.sdk.errors import Interrupted
from resumable.sdk.in_process import Claimed
from resumable.sdk.job import JobDefinition
from resumable.sdk.off_loop import OffLoop
from resumable.state.store import Store

R = TypeVar("R")

CANCELLED = "Cancelled"


async def arun(
    definition: JobDefinition[..., R],
    values: Mapping[str, Any] | None,
    *,
    run_id: str | None,
    store: Store | str | Path | None,
) -> R:
    """Run an async job's function in this loop, a plain job in a thread."""
    caller = CallersLoop()

    def carry_out() -> R:
        claimed = Claimed.local(definition, values, run_id or definition.name, store)
        caller.interrupts(claimed.interruption.ask)
        return claimed.carry_out(caller)

    thread = OffLoop(carry_out)
    threading.Thread(target=thread.run, name=f"resumable-{run_id or definition.name}", daemon=True).start()
    try:
        return await thread.result(caller.cancel)
    except Interrupted as leaving:
        if leaving.reason == CANCELLED:
            raise asyncio.CancelledError from None
        raise


class CallersLoop:
    """A loop that runs already, for a thread that has an async job's function run there and waits for it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[Any] | None = None
        self._ask: Callable[[str, str], None] | None = None
        self._cancelled = False

    def interrupts(self, ask: Callable[[str, str], None]) -> None:
        """In the thread: how a job without a task in the loop is asked to leave."""
        self._ask = ask
        if self._cancelled:
            ask(CANCELLED, _WHY)

    def run(self, function: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """In the thread: what the function returns or raises."""
        ended = threading.Event()

        def begin() -> None:
            self._task = self._loop.create_task(function(), context=self._context)
            self._task.add_done_callback(lambda _: ended.set())
            if self._cancelled:
                self._task.cancel()

        self._loop.call_soon_threadsafe(begin)
        ended.wait()
        assert self._task is not None
        if self._task.cancelled():
            raise Interrupted(CANCELLED, _WHY)
        result: R = self._task.result()
        return result

    def cancel(self) -> None:
        """In the loop: the task that waits for the run was cancelled."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()
        elif self._ask is not None:
            self._ask(CANCELLED, _WHY)


_WHY = "the task that awaited the run was cancelled"
