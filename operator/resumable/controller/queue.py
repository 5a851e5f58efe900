"""The work queue: which job to look at next.

The semantics of client-go's `workqueue`, in asyncio: a key that is added while it waits is looked at once; one that is
added while it is worked on is looked at again afterwards, never by two workers at a time. A key that fails comes back
after a delay that doubles. A delayed key keeps the earliest of the moments that were asked for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys to be worked on. Belongs to one event loop; not thread-safe.

    `expected` names the exceptions that are an everyday matter (a server is away): they are logged in one line.
    Anything else is logged with its traceback, because it is a defect of ours.
    """

    def __init__(
        self,
        *,
        first_retry: timedelta = timedelta(milliseconds=200),
        last_retry: timedelta = timedelta(seconds=10),
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        self._first_retry = first_retry
        self._last_retry = last_retry
        self._expected = expected
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()  # in `_ready`, or to be put there when its worker is done
        self._working: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}

    def __len__(self) -> int:
        """How many keys wait for a worker now; delayed ones don't count."""
        return self._ready.qsize()

    def add(self, key: K) -> None:
        """Have the key looked at as soon as a worker is free."""
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._working:
            self._ready.put_nowait(key)

    def add_after(self, key: K, delay: timedelta) -> None:
        """Have the key looked at after `delay`, or earlier if that was asked for."""
        if delay <= timedelta(0):
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + delay.total_seconds()
        if (timer := self._timers.get(key)) is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(at, self._due, key)

    def retry(self, key: K) -> timedelta:
        """Have the key looked at again after its back-off, which doubles with each failure in a row.

        Returns the delay.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._first_retry * (1 << min(failures, 20)), self._last_retry)
        self.add_after(key, delay)
        return delay

    async def work(self, handle: Callable[[K], Awaitable[None]]) -> None:
        """Work on keys, one at a time, until cancelled. What `handle` raises is logged, and the key retried."""
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._working.add(key)
            try:
                await handle(key)
            except self._expected as error:
                delay = self.retry(key)
                # The first, the second, the fourth, …: a server that is away for long shall not fill the log.
                level = logging.WARNING if self._failures[key].bit_count() == 1 else logging.DEBUG
                logger.log(level, "%s: %s; again in %.1f s", key, error, delay.total_seconds())
            except Exception:
                logger.exception("%s: unexpected; again in %.1f s", key, self.retry(key).total_seconds())
            else:
                self._failures.pop(key, None)
            finally:
                self._working.discard(key)
                if key in self._waiting:
                    self._ready.put_nowait(key)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)
