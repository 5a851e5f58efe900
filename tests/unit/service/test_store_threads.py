"""The store's calls in threads: reads don't wait for writes, and a queue that would be work for nobody is not made."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from resumable.service.store_threads import MOST_WAITING, StoreThreads
from resumable.state.outcome import StoreUnavailable
from resumable.state.sql.store import SqlStore


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = SqlStore("sqlite://")
    yield opened
    opened.close()


def test_a_read_does_not_wait_for_a_write(store: SqlStore) -> None:
    asyncio.run(read_beside_a_write(store))


async def read_beside_a_write(store: SqlStore) -> None:
    calls, release = StoreThreads(store), threading.Event()
    writing = asyncio.create_task(calls.write(lambda _: release.wait(20)))

    assert (await calls.read(lambda opened: opened.info())).uuid == store.info().uuid

    assert not writing.done()
    release.set()
    assert await writing
    calls.close()


def test_more_calls_than_anybody_waits_for_are_turned_away_at_once(store: SqlStore) -> None:
    asyncio.run(overload(store))


async def overload(store: SqlStore) -> None:
    calls, release = StoreThreads(store), threading.Event()
    waiting = [asyncio.create_task(calls.write(lambda _: release.wait(20))) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)  # each task has run up to its wait

    with pytest.raises(StoreUnavailable, match=f"overloaded: {MOST_WAITING} calls wait"):
        await calls.write(lambda opened: opened.info())

    release.set()
    assert all(await asyncio.gather(*waiting))
    assert await calls.write(lambda opened: opened.info())
    calls.close()
