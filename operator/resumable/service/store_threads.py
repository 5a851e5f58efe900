"""The store's synchronous calls, in threads, for an asynchronous service.

Writes and reads have threads of their own, so that reading a long run doesn't hold up a step. SQLite has one writer
anyway: there one writing thread is fastest, as nobody waits for a lock in the database.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from resumable.service.group_commit import GroupCommit
from resumable.state.outcome import StoreUnavailable, WriteOutcome
from resumable.state.record import Fence, Write
from resumable.state.store import FinishedStep, GuardedWrite, SavedCursor, Store, WritesTogether

T = TypeVar("T")

# The fewer at once, the larger each. More than one, so that a run which somebody holds does not hold up all others.
MOST_GROUPS = 3

# A worker waits some seconds for an answer and then sends the call again; a longer queue would be work for nobody.
MOST_WAITING = 2_000


class StoreThreads:
    """Runs calls on `store` in at most `writers` + `readers` threads."""

    def __init__(self, store: Store, *, writers: int = 1, readers: int = 4) -> None:
        self._store = store
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._under_way = 0
        self._groups = (
            GroupCommit(store, partial(self._in_thread, self._writers), groups=min(writers, MOST_GROUPS))
            if isinstance(store, WritesTogether) and store.writes_groups
            else None
        )

    async def write(self, call: Callable[[Store], T]) -> T:
        """The result of a call that writes. Raises what it raises, and StoreUnavailable when too many calls wait."""
        return await self._run(self._writers, call)

    async def write_step(self, fence: Fence, write: Write, step: FinishedStep | SavedCursor) -> WriteOutcome:
        """The answer to a write to a step, which may share its commit with others; raises as `write`."""
        if self._groups is None:
            return await self.write(
                lambda store: (
                    store.finish_step(fence, write, step)
                    if isinstance(step, FinishedStep)
                    else store.save_cursor(fence, write, step)
                )
            )
        self._count()
        try:
            return await self._groups.write(GuardedWrite(fence, write, step))
        finally:
            self._under_way -= 1

    async def read(self, call: Callable[[Store], T]) -> T:
        """The result of a call that only reads; raises as `write`."""
        return await self._run(self._readers, call)

    def close(self) -> None:
        """Wait for what is under way and end the threads. The store stays open."""
        self._writers.shutdown()
        self._readers.shutdown()

    async def _run(self, threads: ThreadPoolExecutor, call: Callable[[Store], T]) -> T:
        self._count()
        try:
            return await self._in_thread(threads, partial(call, self._store))
        finally:
            self._under_way -= 1

    async def _in_thread(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, call)

    def _count(self) -> None:
        """One more is under way; who counts it takes it off again."""
        if self._under_way >= MOST_WAITING:
            raise StoreUnavailable(
                f"the state service is overloaded: {self._under_way} calls wait for the store; try again"
            )
        self._under_way += 1
