"""How the tasks of an async job leave together.

Asked to leave, each step that runs goes on to its own safe point, or to its end. A step that gets there first waits
for the others: else `gather` would leave them behind and a `TaskGroup` would cancel them, although their grace lasts.
When the last is there, one control exception leaves the job.

What still awaits something shortly before the deadline is cancelled (`asyncio.CancelledError` inside, the control
exception outside), so that `finally` blocks run. Code that blocks the loop itself is left by the watchdog, as ever.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn, overload

from resumable.sdk.errors import ControlException, Interrupted, Waiting
from resumable.sdk.interruption import Branch, Interruption
from resumable.sdk.wake import united


@dataclass(eq=False, slots=True)
class StepCall:
    """A step that is being called, in the task that called it."""

    label: str
    task: "asyncio.Task[object]"
    branch: Branch
    parent: "StepCall | None"
    parked: int = 0  # it, or steps that it called itself, wait for the others
    in_thread: bool = False
    cancelled: bool = False  # by us
    leaving: ControlException | None = None  # why it was

    def lineage(self) -> Iterator["StepCall"]:
        """It and the steps within which it was called."""
        call: StepCall | None = self
        while call is not None:
            yield call
            call = call.parent


_current: ContextVar[StepCall | None] = ContextVar("resumable_step_call", default=None)


class Leaving:
    """All step calls of one async job. Lives in its loop."""

    def __init__(self, interruption: Interruption, now: Callable[[], datetime | None]) -> None:
        self._interruption = interruption
        self._now = now  # the store's clock
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._calls: set[StepCall] = set()
        self._parked: list[ControlException] = []
        self._changed = asyncio.Event()  # a call has begun, ended, or waits for the others
        self._asked = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._released = False
        self.main_cancelled = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Learn of what the interruption notes in other threads."""
        with self._interruption.listening(self._tell):
            self._look()
            try:
                yield
            finally:
                if self._timer is not None:
                    self._timer.cancel()

    def _tell(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        moment = self._interruption.cancel_moment()
        if moment is None:
            return
        self._asked.set()
        self._changed.set()
        if self._timer is not None:
            self._timer.cancel()
        left = moment - time.monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._time_is_up()

    def _time_is_up(self) -> None:
        stop, last_moment = self._interruption.stop, self._interruption.last_moment()
        assert stop is not None
        assert last_moment is not None
        if self._calls:
            self._cancel([call for call in self._calls if not call.in_thread and not call.parked], stop.exception())
            half = (last_moment - time.monotonic()) / 2
            self._timer = self._loop.call_later(half, self._cancel_main)  # it awaits none of them
        else:
            self._cancel_main()

    def _cancel_main(self) -> None:
        if self._main is not None and not self._calls and not self.main_cancelled:
            self.main_cancelled = True
            self._main.cancel()

    # The steps

    @contextmanager
    def call(self, label: str, branch: Branch) -> Iterator[StepCall]:
        """Around one call of a step."""
        task = asyncio.current_task()
        assert task is not None
        call = StepCall(label, task, branch, _current.get())
        self._calls.add(call)
        self._changed.set()
        token = _current.set(call)
        try:
            yield call
        finally:
            _current.reset(token)
            self._calls.discard(call)
            self._changed.set()
            if call.cancelled:
                task.uncancel()

    async def safe_point(self) -> None:
        """Leave here if asked to."""
        try:
            self._interruption.safe_point()
        except ControlException as leaving:
            await self.leave(leaving)

    async def sleep(self, seconds: float) -> None:
        """Wait that long; a safe point all the while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._interruption.safe_point()
            if self._asked.is_set():  # shielded
                await asyncio.sleep(min(left, 0.25))
            else:
                try:
                    async with asyncio.timeout(left):
                        await self._asked.wait()
                except TimeoutError:
                    break
        self._interruption.safe_point()

    @overload
    async def leave(self, leaving: ControlException) -> NoReturn: ...

    @overload
    async def leave(self, leaving: ControlException, *, patience: float) -> None: ...

    async def leave(self, leaving: ControlException, *, patience: float | None = None) -> None:
        """Wait until the other steps are where they may leave, then leave the job. Returns when they are not within
        `patience` seconds.
        """
        if self._released:
            raise self._interruption.left or leaving
        call = _current.get()
        if self._interruption.left is not None:  # nothing more can be stored
            others = [each for each in self._calls if each is not call and not each.parked]
            self._cancel(others, self._interruption.left)
        self._parked.append(leaving)
        for each in call.lineage() if call else ():
            each.parked += 1
        self._changed.set()
        try:
            async with asyncio.timeout(patience):
                await self._others()
        except TimeoutError:
            return
        finally:
            self._parked.remove(leaving)
            for each in call.lineage() if call else ():
                each.parked -= 1
            self._changed.set()
        if not self._released:
            self._released = True
            if self._interruption.left is None:
                self._interruption.left = _one([leaving, *self._parked], self._now())
        raise self._interruption.left or leaving

    async def _others(self) -> None:
        while not self._released:
            self._changed.clear()
            if any(not call.parked for call in self._calls):
                await self._changed.wait()
            elif self._interruption.stopping or self._interruption.left is not None:
                return
            else:
                try:
                    async with asyncio.timeout(self._interruption.settle_seconds):
                        await self._changed.wait()
                except TimeoutError:
                    return

    # The end

    def running(self) -> list[str]:
        """The labels of the steps that run now."""
        return [call.label for call in self._calls]

    async def end(self) -> None:
        """The job's function has been left: nothing that it began runs on."""
        self._cancel(list(self._calls), None)
        while self._calls:
            self._changed.clear()
            await self._changed.wait()

    def _cancel(self, calls: list[StepCall], leaving: ControlException | None) -> None:
        for call in calls:
            if not call.cancelled:
                call.cancelled = True
                call.leaving = leaving
                call.task.cancel()


def _one(leaving: list[ControlException], now: datetime | None) -> ControlException:
    """Several leave at once: who has more to do as soon as the next attempt begins goes before who waits."""
    waiting = [each for each in leaving if isinstance(each, Waiting)]
    others = [each for each in leaving if not isinstance(each, Waiting)]
    if others:
        return next((each for each in others if not isinstance(each, Interrupted)), others[0])
    return united(waiting, now=now)
