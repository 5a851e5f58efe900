"""Group commit: step writes of many workers that arrive together share one transaction of the store.

A durable commit costs the same for one row as for a hundred. While one group is written the next one gathers: nobody
waits for a group to fill, so a lone worker's step is not slower. Each write is answered after the commit, with an
answer of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable

from resumable.state.outcome import StoreError, WriteOutcome
from resumable.state.store import GuardedWrite, WritesTogether

# More would let the first of a group wait longer than the shared commit saves it.
MOST_WRITES = 128
# Results of a few megabytes each are written a few at a time: the others should not wait for all of them.
MOST_BYTES = 4 * 1024 * 1024

RunInThread = Callable[[Callable[[], list[WriteOutcome | StoreError]]], Awaitable[list[WriteOutcome | StoreError]]]


class GroupCommit:
    """Gathers writes for `store`. Used from one event loop; `run` calls the store in a thread.

    At most `groups` are under way at once: one for a database with one writer.
    """

    def __init__(self, store: WritesTogether, run: RunInThread, *, groups: int = 1) -> None:
        self._store = store
        self._run = run
        self._free = groups
        self._waiting: list[tuple[GuardedWrite, asyncio.Future[WriteOutcome]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, write: GuardedWrite) -> WriteOutcome:
        """The answer to this write, after its commit. Raises what the store raises for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[WriteOutcome] = loop.create_future()
        self._waiting.append((write, answer))
        if self._free:
            self._free -= 1
            task = loop.create_task(self._work())
            self._tasks.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _work(self) -> None:
        """Write groups until nothing waits. It begins in the loop's next turn, with all that came in this one."""
        try:
            while self._waiting:
                await self._write_group()
        finally:
            self._free += 1

    async def _write_group(self) -> None:
        count = cut(self._waiting)
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        writes = [write for write, _ in group]
        try:
            answers = await self._run(lambda: self._store.write_together(writes))
        except BaseException as error:
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), outcome in zip(group, answers, strict=True):
            if answer.done():  # its caller went away; the write stands
                continue
            if isinstance(outcome, StoreError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)


def cut(waiting: list[tuple[GuardedWrite, asyncio.Future[WriteOutcome]]]) -> int:
    """How many of those that wait go together: at least one, then within both bounds."""
    size = 0
    for count, (write, _) in enumerate(waiting[:MOST_WRITES]):
        size += write.size
        if count and size > MOST_BYTES:
            return count
    return min(len(waiting), MOST_WRITES)
