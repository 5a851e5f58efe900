"""The work queue, on a real event loop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import pytest

from resumable.controller.queue import WorkQueue

DEADLINE = 5.0


class Away(Exception):
    """An everyday error of these tests."""


@asynccontextmanager
async def working(
    queue: WorkQueue[str], handle: Callable[[str], Awaitable[None]], workers: int = 3
) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(queue.work(handle)) for _ in range(workers)]
    try:
        async with asyncio.timeout(DEADLINE):
            yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_key_that_waits_already_is_worked_on_once() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        seen: list[str] = []
        last = asyncio.Event()

        async def handle(key: str) -> None:
            seen.append(key)
            if key == "last":
                last.set()

        for key in ("job", "job", "job", "last"):
            queue.add(key)
        assert len(queue) == 2
        async with working(queue, handle, workers=1):
            await last.wait()
        assert seen == ["job", "last"]

    asyncio.run(scenario())


def test_a_key_that_changes_while_it_is_worked_on_is_looked_at_again_and_never_by_two_workers() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        inside = most_inside = rounds = 0
        done = asyncio.Event()

        async def handle(key: str) -> None:
            nonlocal inside, most_inside, rounds
            inside += 1
            most_inside = max(most_inside, inside)
            rounds += 1
            if rounds == 1:
                queue.add(key)  # a watch event, in the middle
                queue.add(key)
                for _ in range(10):
                    await asyncio.sleep(0)  # let an idle worker take it, if it could
            inside -= 1
            if rounds == 2:
                done.set()

        queue.add("job")
        async with working(queue, handle):
            await done.wait()
        assert (rounds, most_inside) == (2, 1)
        assert len(queue) == 0

    asyncio.run(scenario())


def test_different_keys_are_worked_on_at_the_same_time() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        together = asyncio.Barrier(2)
        met = asyncio.Event()

        async def handle(key: str) -> None:
            await together.wait()  # each waits for the other
            met.set()

        queue.add("a")
        queue.add("b")
        async with working(queue, handle, workers=2):
            await met.wait()

    asyncio.run(scenario())


def test_a_delayed_key_keeps_the_earliest_moment() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        calls: list[float] = []

        async def handle(key: str) -> None:
            calls.append(loop.time())
            done.set()

        started = loop.time()
        queue.add_after("job", timedelta(hours=1))
        queue.add_after("job", timedelta(milliseconds=20))
        queue.add_after("job", timedelta(hours=2))
        assert len(queue) == 0
        async with working(queue, handle):
            await done.wait()
        assert calls[0] - started >= 0.019
        assert len(calls) == 1

    asyncio.run(scenario())


def test_a_failing_key_backs_off_twice_as_long_each_time_until_it_succeeds() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(
            first_retry=timedelta(milliseconds=10), last_retry=timedelta(milliseconds=40), expected=(Away,)
        )
        loop = asyncio.get_running_loop()
        times: list[float] = []
        done = asyncio.Event()

        async def handle(key: str) -> None:
            times.append(loop.time())
            if len(times) <= 4:
                raise Away("the store is away")
            done.set()

        queue.add("job")
        async with working(queue, handle):
            await done.wait()
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert all(wait >= least for wait, least in zip(waits, (0.009, 0.019, 0.039, 0.039), strict=True))
        assert queue.retry("job") == timedelta(milliseconds=10)  # the success made it start anew

    asyncio.run(scenario())


def test_one_key_that_always_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(expected=(Away,))
        others: set[str] = set()
        done = asyncio.Event()

        async def handle(key: str) -> None:
            if key == "bad":
                raise ValueError("a defect")
            if key == "unlucky":
                raise Away("503")
            others.add(key)
            if len(others) == 50:
                done.set()

        for key in ("bad", "unlucky", *(f"job-{n}" for n in range(50))):
            queue.add(key)
        async with working(queue, handle, workers=2):
            await done.wait()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    by_key = {record.getMessage().partition(":")[0]: record for record in caplog.records}
    assert by_key["bad"].exc_info is not None  # a defect shows where it is
    assert by_key["unlucky"].exc_info is None  # an everyday error is one line
    assert "503" in by_key["unlucky"].getMessage()
