"""What goes into one commit, and who gets which answer when."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from resumable.service import group_commit
from resumable.service.group_commit import GroupCommit
from resumable.state.outcome import Fenced, Stored, StoreError, StoreRefused, WriteOutcome
from resumable.state.record import Encoded
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep, GuardedWrite
from tests.contract.runs import Worker, minted, run_of, started

Answers = list[WriteOutcome | StoreError]


class GatedStore(SqlStore):
    """A SQLite whose groups wait for the test before they begin, and are remembered."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.gate = threading.Semaphore(0)
        self.groups: list[list[str]] = []

    def write_together(self, writes: Sequence[GuardedWrite]) -> Answers:
        self.groups.append([write.step.name for write in writes])
        assert self.gate.acquire(timeout=20)
        return super().write_together(writes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GatedStore]:
    with closing(GatedStore(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
        yield opened


async def in_thread(call: Callable[[], Answers]) -> Answers:
    return await asyncio.to_thread(call)


class Counting:
    """As `in_thread`, and notes how many groups were under way at most."""

    def __init__(self) -> None:
        self.under_way = self.most = 0

    async def __call__(self, call: Callable[[], Answers]) -> Answers:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await in_thread(call)
        finally:
            self.under_way -= 1


def write(worker: Worker, name: str, size: int = 1) -> GuardedWrite:
    return GuardedWrite(worker.fence, worker.write(), FinishedStep(name=name, result=Encoded("raw", b"x" * size)))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def as_task(call: Coroutine[Any, Any, WriteOutcome]) -> asyncio.Task[WriteOutcome]:
    return asyncio.create_task(call)


def test_what_comes_while_a_group_is_written_goes_together_and_is_answered_after_its_commit(store: GatedStore) -> None:
    worker = started(store)

    async def scenario() -> None:
        group = GroupCommit(store, counting := Counting())
        first = as_task(group.write(write(worker, "first")))
        await until(lambda: store.groups == [["first"]])
        later = [as_task(group.write(write(worker, name))) for name in "abc"]
        await asyncio.sleep(0)
        assert not first.done(), "answered before its commit"

        store.gate.release()
        assert await first == Stored()
        await until(lambda: store.groups == [["first"], ["a", "b", "c"]])
        assert not any(task.done() for task in later)
        store.gate.release()
        assert await asyncio.gather(*later) == [Stored()] * 3
        assert counting.most == 1, "one group at a time: SQLite has one writer"
        assert {step.name for step in store.list_steps(worker.fence.run_id)} == {"first", *"abc"}

    asyncio.run(scenario())


def test_a_group_is_bounded_in_number_and_in_bytes(store: GatedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_WRITES", 4)
    monkeypatch.setattr(group_commit, "MOST_BYTES", 100)
    worker = started(store)
    for _ in range(20):
        store.gate.release()

    async def scenario() -> None:
        group = GroupCommit(store, in_thread)
        sizes = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 60, "f": 60, "g": 1000, "h": 1}
        await asyncio.gather(*(group.write(write(worker, name, size)) for name, size in sizes.items()))
        assert store.groups == [["a", "b", "c", "d"], ["e"], ["f"], ["g"], ["h"]]

    asyncio.run(scenario())


def test_each_caller_gets_its_own_answer_or_its_own_error(store: GatedStore) -> None:
    good, stale = started(store), started(store)
    minted(store, run_of(store, stale.fence.run_id))
    store.gate.release()

    async def scenario() -> None:
        group = GroupCommit(store, in_thread)
        writes = [write(good, "step"), write(stale, "late"), write(good, "x" * 1000)]
        answers = await asyncio.gather(*map(group.write, writes), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Stored, Fenced, StoreRefused]

    asyncio.run(scenario())


def test_a_caller_that_goes_away_takes_no_answer_from_the_others(store: GatedStore) -> None:
    worker = started(store)

    async def scenario() -> None:
        group = GroupCommit(store, in_thread)
        gone, stays = as_task(group.write(write(worker, "a"))), as_task(group.write(write(worker, "b")))
        await until(lambda: store.groups)
        gone.cancel()
        store.gate.release()
        assert await stays == Stored()
        assert {step.name for step in store.list_steps(worker.fence.run_id)} == {"a", "b"}

    asyncio.run(scenario())


def test_what_fails_the_whole_group_is_told_to_each_and_the_next_group_is_written(store: GatedStore) -> None:
    worker = started(store)
    failures = [RuntimeError("no thread")]
    store.gate.release()

    async def failing_once(call: Callable[[], Answers]) -> Answers:
        if failures:
            raise failures.pop()
        return await in_thread(call)

    async def scenario() -> None:
        group = GroupCommit(store, failing_once)
        answers = await asyncio.gather(*(group.write(write(worker, name)) for name in "ab"), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["no thread"] * 2
        assert await group.write(write(worker, "c")) == Stored()

    asyncio.run(scenario())
