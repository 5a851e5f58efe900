"""How the tasks of an async job leave when the job is asked to."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable

import pytest

from resumable import AsyncJob, AsyncStepContext, Fenced, Interrupted, JobDefinition, StepContext, job
from resumable.sdk.in_process import JobRun
from resumable.state.record import RunStatus, StepStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import begin, mint, status


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def interrupted(definition: JobDefinition[..., object], store: SqlStore, effects: Effects, *, when: str) -> None:
    """Run it, ask it to leave when the effect is there, and see it interrupted."""
    handle: JobRun[object] = definition.start(store=store)
    until(lambda: when in effects or handle.done)
    handle.stop()
    with pytest.raises(Interrupted):
        handle.result(timeout=20)
    assert status(store, definition.name) is RunStatus.INTERRUPTED


def done(store: SqlStore) -> list[str]:
    """The steps that are done. An interruption is no failure."""
    steps = store.list_steps("j")
    assert [step for step in steps if step.error] == []
    return [step.name for step in steps if step.status is StepStatus.DONE]


@pytest.mark.parametrize("how", ["gather", "group"])
def test_each_task_leaves_at_its_own_safe_point_or_end(store: SqlStore, effects: Effects, how: str) -> None:
    async def saves(step: AsyncStepContext[int]) -> None:
        effects.append("saves")
        while True:
            await asyncio.sleep(0.001)
            if step.stopping:
                await step.save(7)
                await step.stop_if_asked()

    def saves_in_thread(step: StepContext[int]) -> None:
        for turn in step.iterate(itertools.count(), cursor=lambda n: min(n, 1) + 7, every="1h"):
            time.sleep(0.001)
            if turn == 1:
                effects.append("thread")

    async def ends() -> None:
        effects.append("ends")
        while "asked" not in effects:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)  # longer than the others need to their safe points

    @job("j")
    async def several(j: AsyncJob) -> None:
        calls = [j.step("saves", saves), j.step("thread", saves_in_thread), j.step("ends", ends)]
        if how == "gather":
            await asyncio.gather(*calls)
        else:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(call)

    handle = several.start(store=store)
    until(lambda: len(effects) == 3)
    handle.stop()
    effects.append("asked")
    with pytest.raises(Interrupted):
        handle.result(timeout=20)
    assert done(store) == ["ends"]
    cursors = begin(store, mint(store, "j")).cursors
    assert {name: cursor.value.data for (name, _), cursor in cursors.items() if cursor.value} == {
        "saves": b"7",
        "thread": b"8",
    }


def test_what_awaits_for_long_is_cancelled_before_the_deadline(
    store: SqlStore, effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESUMABLE_GRACE_SECONDS", "1")

    async def long() -> None:
        effects.append("long")
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            effects.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0.01)
            effects.append("finally")

    @job("j")
    async def waits(j: AsyncJob) -> None:
        try:
            await j.step("long", long)
        finally:
            effects.append("left")

    interrupted(waits, store, effects, when="long")
    assert effects == ["long", "cancelled", "finally", "left"]
    assert done(store) == []


def test_so_is_the_job_itself_when_it_awaits_something_between_steps(
    store: SqlStore, effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESUMABLE_GRACE_SECONDS", "1")

    async def behind() -> None:
        await asyncio.sleep(600)

    @job("j")
    async def waits(j: AsyncJob, behind_a_step: bool) -> None:
        task = asyncio.create_task(j.step("behind", behind)) if behind_a_step else None
        effects.append("waits")
        try:
            await asyncio.sleep(600)
        finally:
            effects.append(f"left {task}" if task is None else "left")

    for behind_a_step in (False, True):
        handle = waits.start({"behind_a_step": behind_a_step}, id=str(behind_a_step), store=store)
        until(lambda: effects[-1:] == ["waits"])
        handle.stop()
        with pytest.raises(Interrupted):
            handle.result(timeout=20)
    assert effects == ["waits", "left None", "waits", "left"]


def test_a_shield_is_not_stopped_inside(store: SqlStore, effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESUMABLE_GRACE_SECONDS", "2")

    async def publish(step: AsyncStepContext[int]) -> None:
        with step.shield("30s"):
            effects.append("shield")
            await asyncio.sleep(1.5)  # past the moment when it would be cancelled
            await step.stop_if_asked()
            effects.append("published")
        await step.stop_if_asked()
        effects.append("not reached")

    @job("j")
    async def publishes(j: AsyncJob) -> None:
        await j.step("publish", publish)

    interrupted(publishes, store, effects, when="shield")
    assert effects == ["shield", "published"]


def test_it_leaves_on_the_way_into_the_next_step(store: SqlStore, effects: Effects) -> None:
    gate = threading.Event()

    async def last() -> int:
        effects.append("last")
        while not gate.is_set():
            await asyncio.sleep(0.001)
        return 3

    @job("j")
    async def stopped(j: AsyncJob) -> int:
        result = await j.step("last", last)
        await j.step("more", effects.of("more"))
        return result

    handle = stopped.start(store=store)
    until(lambda: "last" in effects)
    handle.stop()
    gate.set()
    with pytest.raises(Interrupted):
        handle.result(timeout=20)
    assert stopped.run(store=store) == 3
    assert effects == ["last", "more"]


def test_an_interruption_can_not_be_swallowed(store: SqlStore, effects: Effects) -> None:
    async def stubborn(step: AsyncStepContext[int]) -> str:
        effects.append("stubborn")
        while not step.stopping:
            await asyncio.sleep(0.001)
        try:
            await step.stop_if_asked()
        except BaseException:  # noqa: BLE001 - what it must withstand
            effects.append("swallowed")
        return "as if nothing had happened"

    @job("j")
    async def swallow(j: AsyncJob) -> None:
        await asyncio.gather(j.step("stubborn", stubborn), return_exceptions=True)

    interrupted(swallow, store, effects, when="stubborn")
    assert effects == ["stubborn", "swallowed"]
    assert done(store) == []


def test_a_step_within_a_step_leaves_too(store: SqlStore, effects: Effects) -> None:
    @job("j")
    async def nested(j: AsyncJob) -> None:
        async def inner(step: AsyncStepContext[int]) -> None:
            effects.append("inner")
            while True:
                await asyncio.sleep(0.001)
                await step.stop_if_asked()

        async def outer() -> None:
            await j.step("inner", inner)

        await j.step("outer", outer)

    interrupted(nested, store, effects, when="inner")


@pytest.mark.parametrize("how", ["gather", "group"])
def test_fenced_it_leaves_at_once_and_cancels_what_still_awaits(store: SqlStore, effects: Effects, how: str) -> None:
    async def saves(step: AsyncStepContext[int]) -> None:
        while True:
            await step.save(1)
            effects.append("saved")
            await asyncio.sleep(0.001)

    async def long() -> None:
        effects.append("long")
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0.01)
            effects.append("finally")

    @job("j")
    async def zombie(j: AsyncJob) -> None:
        calls = [j.step("long", long), j.step("saves", saves)]
        if how == "gather":
            await asyncio.gather(*calls)
        else:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(call)

    handle = zombie.start(store=store)
    until(lambda: {"long", "saved"} <= set(effects))
    mint(store, "j")
    with pytest.raises(Fenced):
        handle.result(timeout=10)
    assert effects.count("finally") == 1
    assert done(store) == []
