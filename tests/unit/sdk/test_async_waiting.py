"""An async job in which some steps wait while others run; each `run` is one attempt."""

import asyncio
import threading
import time
from typing import Any

import pytest

from resumable import AsyncJob, Interrupted, Retry, StepFailed, Waiting, job
from resumable.state.outcome import Sent
from resumable.state.record import Run, RunStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import NewSignal
from tests.unit.sdk.effects import Effects


def run_of(store: SqlStore) -> Run:
    run = store.get_run("j")
    assert run is not None
    return run


def send(store: SqlStore, name: str) -> None:
    assert isinstance(store.send_signal("j", NewSignal(id=name, name=name)), Sent)


def test_several_waits_end_the_attempt_once_and_any_of_their_signals_starts_the_next(
    store: SqlStore, effects: Effects
) -> None:
    @job("j")
    async def waits(j: AsyncJob) -> str:
        async def one(name: str) -> None:
            await j.wait(name, hold="0s")
            await j.step(f"after {name}", effects.of(f"after {name}"))

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(one(name))
        return "all"

    with pytest.raises(Waiting):
        waits.run(store=store)
    assert (run_of(store).status, run_of(store).wake_on) == (RunStatus.WAITING, ("a", "b", "c"))
    send(store, "b")
    with pytest.raises(Waiting):
        waits.run(store=store)
    assert run_of(store).wake_on == ("a", "c")
    assert effects == ["after b"]
    send(store, "a")
    send(store, "c")
    assert waits.run(store=store) == "all"
    assert sorted(effects) == ["after a", "after b", "after c"]


def test_what_is_due_first_starts_the_next_attempt(store: SqlStore) -> None:
    @job("j")
    async def waits(j: AsyncJob) -> None:
        await asyncio.gather(
            j.sleep("long", "2h", hold="0s"), j.sleep("short", "1h", hold="0s"), j.wait("signal", hold="0s")
        )

    with pytest.raises(Waiting):
        waits.run(store=store)
    run = run_of(store)
    assert run.wake_on == ("signal",)
    assert run.wake_at is not None
    assert 3500 < (run.wake_at - run.created).total_seconds() < 3700


def test_other_steps_come_to_their_end_before_the_process_leaves_to_wait(store: SqlStore, effects: Effects) -> None:
    async def work(name: str) -> None:
        await asyncio.sleep(0.2)
        effects.append(name)

    @job("j")
    async def waits(j: AsyncJob) -> None:
        async def worker() -> None:
            for name in ("one", "two", "three"):
                await j.step(name, work, name)
                await asyncio.sleep(0.02)  # runs no step, but goes on

        await asyncio.gather(j.wait("signal", hold="0s"), worker())

    with pytest.raises(Waiting):
        waits.run(store=store)
    assert effects == ["one", "two", "three"]


def test_a_signal_that_comes_while_other_steps_run_is_taken_at_once(store: SqlStore, effects: Effects) -> None:
    async def work() -> None:
        while "received" not in effects:
            await asyncio.sleep(0.01)

    @job("j")
    async def waits(j: AsyncJob) -> int:
        async def approve() -> None:
            await j.wait("signal", hold="0s")
            effects.append("received")

        await asyncio.gather(approve(), j.step("work", work))
        return j.attempt

    threading.Timer(0.5, send, (store, "signal")).start()
    handle = waits.start(store=store)
    assert handle.result(timeout=30) == 1, "the process stayed, and so did the wait"


def test_a_next_try_that_is_due_while_other_steps_run_is_made_at_once(store: SqlStore, effects: Effects) -> None:
    def flaky() -> None:
        effects.append("try")
        if len(effects) == 1:
            raise OSError

    async def work() -> None:
        while len(effects) < 2:
            await asyncio.sleep(0.01)

    @job("j")
    async def retries(j: AsyncJob) -> int:
        retry = Retry(initial="500ms", jitter=0, hold="0s")
        await asyncio.gather(j.options(retry=retry).step("flaky", flaky), j.step("work", work))
        return j.attempt

    assert retries.start(store=store).result(timeout=30) == 1


def test_leaving_to_wait_can_not_be_swallowed(store: SqlStore, effects: Effects) -> None:
    @job("j")
    async def swallows(j: AsyncJob) -> None:
        await asyncio.gather(j.wait("signal", hold="0s"), return_exceptions=True)
        await j.step("more", effects.of("more"))

    with pytest.raises(Waiting):
        swallows.run(store=store)
    assert effects == []
    assert run_of(store).status is RunStatus.WAITING


def test_a_stop_goes_before_a_wait(store: SqlStore, effects: Effects) -> None:
    async def work() -> None:
        effects.append("work")
        while "asked" not in effects:
            await asyncio.sleep(0.001)

    @job("j")
    async def waits(j: AsyncJob) -> None:
        async def worker() -> None:
            await j.step("work", work)
            await j.step("more", effects.of("more"))

        await asyncio.gather(j.wait("signal", hold="0s"), worker())

    handle = waits.start(store=store)
    end = time.monotonic() + 10
    while "work" not in effects:
        assert time.monotonic() < end
        time.sleep(0.001)
    handle.stop()
    effects.append("asked")
    with pytest.raises(Interrupted):
        handle.result(timeout=20)
    assert run_of(store).status is RunStatus.INTERRUPTED


def test_items_of_a_map_that_wait_for_their_next_try_keep_no_place(store: SqlStore, effects: Effects) -> None:
    async def make(number: int) -> int:
        effects.append(str(number))
        if number < 3 and effects.count(str(number)) == 1:
            raise OSError(number)
        return number

    @job("j")
    async def maps(j: AsyncJob) -> list[Any]:
        retry = Retry(max_attempts=2, initial="300ms", jitter=0, hold="0s")
        return await j.options(retry=retry).map("make", make, range(6), concurrency=1)

    with pytest.raises(Waiting):
        maps.run(store=store)
    assert effects == ["0", "1", "2", "3", "4", "5"], "the others are done first"
    while run_of(store).status is not RunStatus.SUCCEEDED:
        try:
            assert maps.run(store=store) == list(range(6))
        except Waiting:
            time.sleep(0.01)
    assert sorted(effects[6:]) == ["0", "1", "2"]


def test_a_step_that_failed_for_good_in_a_task_group_fails_the_run(store: SqlStore) -> None:
    def fail() -> None:
        raise ValueError("no more")

    @job("j")
    async def fails(j: AsyncJob) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(j.options(retry=Retry(max_attempts=1)).step("fail", fail))

    with pytest.raises(StepFailed, match="step fail failed for good: ValueError: no more"):
        fails.run(store=store)
    assert (run_of(store).status, run_of(store).reason) == (RunStatus.FAILED, "StepFailed")
