"""Which writes may be under way at the same time."""

import threading
from contextlib import AbstractContextManager
from typing import Any

import pytest

from resumable import Job, job
from resumable.sdk.write_turns import WriteTurns
from resumable.state.outcome import WriteOutcome
from resumable.state.record import Fence, Write
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep
from tests.sdk.process import wait_for

PATIENCE = 20.0


class Holder:
    """A thread that takes a turn and keeps it until it is told."""

    def __init__(self, turn: AbstractContextManager[None]) -> None:
        self.has_it, self._let_go = threading.Event(), threading.Event()
        self._turn = turn
        self._thread = threading.Thread(target=self._hold, daemon=True)
        self._thread.start()

    def _hold(self) -> None:
        with self._turn:
            self.has_it.set()
            assert self._let_go.wait(PATIENCE)

    def let_go(self) -> None:
        self._let_go.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def test_many_are_together() -> None:
    turns = WriteTurns()
    holders = [Holder(turns.together) for _ in range(3)]
    for holder in holders:
        assert holder.has_it.wait(PATIENCE)
    for holder in holders:
        holder.let_go()


def test_alone_waits_for_those_that_are_under_way_and_goes_before_those_that_come_later() -> None:
    turns = WriteTurns()
    first = Holder(turns.together)
    assert first.has_it.wait(PATIENCE)
    alone = Holder(turns.alone)
    wait_for(lambda: turns._waiting == 1, "it to wait")
    later = Holder(turns.together)
    assert not alone.has_it.is_set()
    assert not later.has_it.is_set()
    first.let_go()
    assert alone.has_it.wait(PATIENCE)
    assert not later.has_it.is_set()
    alone.let_go()
    assert later.has_it.wait(PATIENCE)
    later.let_go()


def test_who_is_alone_may_enter_either_again() -> None:
    turns = WriteTurns()
    with turns.alone, turns.together, turns.alone:
        other = Holder(turns.alone)
        assert not other.has_it.is_set()
    assert other.has_it.wait(PATIENCE)
    other.let_go()
    with turns.together:
        pass


class Watching(SqlStore):
    """Sees which results are being written at the same time."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        self.both: threading.Barrier | None = None  # writes go on only when two are under way
        self.carrying: list[bool] = []  # of the writes under way: whether they carry the payload
        self.seen: set[tuple[bool, ...]] = set()
        self._noting = threading.Lock()

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        with self._noting:
            self.carrying.append(step.payload is not None)
            self.seen.add(tuple(self.carrying))
        if self.both is not None:
            self.both.wait(PATIENCE)
        try:
            return super().finish_step(fence, write, step)
        finally:
            with self._noting:
                self.carrying.remove(step.payload is not None)


@pytest.fixture
def store() -> Any:
    store = Watching()
    yield store
    store.close()


def test_the_items_of_a_map_do_not_wait_for_each_others_round_trip(store: Watching) -> None:
    @job("j")
    def mapped(j: Job) -> list[int]:
        return j.map("work", abs, [-1, -2, -3, -4], concurrency=2)

    store.both = threading.Barrier(2)
    assert mapped.run(store=store) == [1, 2, 3, 4]
    assert (False, False) in store.seen


def test_a_write_that_carries_the_payload_goes_alone(store: Watching) -> None:
    @job("j")
    def mapped(j: Job) -> None:
        def work(item: int) -> None:
            j.payload[f"{item}"] = item

        j.map("work", work, range(20), concurrency=4)

    mapped.run(store=store)
    assert (True,) in store.seen
    assert not any(len(carrying) > 1 and any(carrying) for carrying in store.seen)
