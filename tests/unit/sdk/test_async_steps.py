"""Async jobs run in this process on a real SQLite in memory; each `run` is one attempt."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from resumable import (
    AsyncJob,
    AsyncStepContext,
    DuplicateStep,
    EventLoopRunning,
    InvalidStep,
    Job,
    JobDefinitionError,
    StepContext,
    StepNotAwaited,
    UnstorableResult,
    job,
)
from resumable.state.record import EndKind, RunStatus, StepStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import status


class Boom(Exception):
    pass


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def plain_double(number: int) -> int:
    return 2 * number


def test_a_finished_step_is_not_run_again(store: SqlStore, effects: Effects) -> None:
    async def create(number: int) -> int:
        effects.append("create")
        return number

    @job("j")
    async def provision(j: AsyncJob, fail: bool) -> int:
        number = await j.step("create", create, 7)
        if fail:
            raise Boom
        return number

    with pytest.raises(Boom):
        provision.run({"fail": True}, store=store)
    assert provision.run({"fail": False}, store=store) == 7
    assert effects == ["create"]


def test_steps_run_at_the_same_time(store: SqlStore) -> None:
    async def meet(barrier: asyncio.Barrier) -> int:
        async with asyncio.timeout(10):
            return await barrier.wait()

    @job("j")
    async def meeting(j: AsyncJob) -> list[int]:
        barrier = asyncio.Barrier(3)
        return await asyncio.gather(*(j.options(key=n).step("meet", meet, barrier) for n in range(3)))

    assert sorted(meeting.run(store=store)) == [0, 1, 2]
    assert {step.key for step in store.list_steps("j")} == {"0", "1", "2"}


def test_a_plain_function_runs_in_a_thread_and_the_loop_goes_on(store: SqlStore) -> None:
    go = threading.Event()

    def wait() -> str:
        assert go.wait(10)
        return threading.current_thread().name

    async def open_the_gate() -> None:
        go.set()

    @job("j")
    async def both(j: AsyncJob) -> str:
        name, _ = await asyncio.gather(j.step("wait", wait), j.step("open", open_the_gate))
        return name

    assert both.run(store=store).startswith("resumable-step")


def test_the_loop_never_waits_for_the_store(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    let_write, writing = threading.Event(), threading.Event()
    finish_step = store.finish_step

    def slow(*arguments: Any) -> Any:
        writing.set()
        assert let_write.wait(10)
        return finish_step(*arguments)

    monkeypatch.setattr(store, "finish_step", slow)

    @job("j")
    async def fast(j: AsyncJob) -> str:
        first = asyncio.create_task(j.options(key=1).step("double", double, 1))
        while not writing.is_set():
            await asyncio.sleep(0.001)
        second = asyncio.create_task(j.options(key=2).step("double", double, 2))  # enters while the first is stored
        await asyncio.sleep(0.01)
        assert not first.done()
        let_write.set()
        return f"{await first} {await second}"

    assert fast.run(store=store) == "2 4"


def test_a_failing_step_is_recorded_and_its_exception_passes_on(store: SqlStore) -> None:
    async def charge() -> None:
        raise ValueError("card refused")

    @job("j")
    async def pay(j: AsyncJob) -> str:
        try:
            await j.step("charge", charge)
        except ValueError:
            return "unpaid"
        return "paid"

    assert pay.run(store=store) == "unpaid"
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.FAILED
    assert step.error.startswith("ValueError: card refused (test_async_steps.py:")


def test_a_failed_step_runs_again_in_the_next_attempt(store: SqlStore, effects: Effects) -> None:
    async def flaky() -> int:
        effects.append("try")
        if len(effects) == 1:
            raise Boom
        return 5

    @job("j")
    async def retry(j: AsyncJob) -> int:
        return await j.step("flaky", flaky)

    with pytest.raises(Boom):
        retry.run(store=store)
    assert retry.run(store=store) == 5
    view = store.view("j")
    assert view is not None
    assert [attempt.end_kind for attempt in view.attempts] == [EndKind.FAILURE, EndKind.COMPLETION]


def test_a_sibling_that_fails_cancels_the_others_and_they_have_not_failed(store: SqlStore, effects: Effects) -> None:
    async def fail() -> None:
        raise Boom

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            effects.append("finally")

    @job("j")
    async def both(j: AsyncJob) -> None:
        await asyncio.gather(j.step("long", long), j.step("fail", fail))

    @job("group")
    async def group(j: AsyncJob) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(j.step("long", long))
            tasks.create_task(j.step("fail", fail))

    with pytest.raises(Boom):
        both.run(store=store)
    with pytest.raises(ExceptionGroup):
        group.run(store=store)
    assert effects == ["finally", "finally"]
    for run in ("j", "group"):
        assert [(step.name, step.status) for step in store.list_steps(run)] == [("fail", StepStatus.FAILED)]


def test_what_a_task_group_hides_is_named_in_the_record(store: SqlStore) -> None:
    async def fail() -> None:
        raise ValueError("bad row 7")

    @job("group")
    async def group(j: AsyncJob) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(j.step("fail", fail))

    with pytest.raises(ExceptionGroup):
        group.run(store=store)
    view = store.view("group")
    assert view is not None
    assert "ValueError: bad row 7" in view.attempts[0].message


def test_a_cancelled_step_in_a_thread_leaves_at_its_safe_point(store: SqlStore, effects: Effects) -> None:
    async def fail() -> None:
        while not effects:
            await asyncio.sleep(0.001)
        raise Boom

    def loop(step: StepContext[int]) -> None:
        effects.append("loop")
        while True:
            step.stop_if_asked()
            time.sleep(0.001)

    @job("j")
    async def both(j: AsyncJob) -> None:
        await asyncio.gather(j.step("loop", loop), j.step("fail", fail))

    with pytest.raises(Boom):
        both.run(store=store)
    assert [step.name for step in store.list_steps("j")] == ["fail"]
    assert status(store, "j") is RunStatus.PENDING


def test_a_cancelled_step_in_a_thread_that_comes_to_its_end_is_done(store: SqlStore) -> None:
    began, go = threading.Event(), threading.Event()

    def wait() -> int:
        began.set()
        assert go.wait(10)
        return 3

    @job("j")
    async def cancels(j: AsyncJob) -> str:
        task = asyncio.create_task(j.step("wait", wait))
        while not began.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return "cancelled"

    assert cancels.run(store=store) == "cancelled"
    assert [(step.name, step.status) for step in store.list_steps("j")] == [("wait", StepStatus.DONE)]


def test_a_call_that_was_not_awaited_is_an_error_that_names_the_step(store: SqlStore, effects: Effects) -> None:
    @job("j")
    async def forgets(j: AsyncJob) -> None:
        j.options(key=7).step("ship", effects.of("ship"))  # type: ignore[unused-coroutine]

    with pytest.raises(StepNotAwaited, match=r"step ship\[7\] was never run: its call was not awaited"):
        forgets.run(store=store)
    assert effects == []
    assert status(store, "j") is RunStatus.PENDING


def test_a_step_that_still_runs_when_the_job_returns_is_an_error(store: SqlStore, effects: Effects) -> None:
    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            effects.append("finally")

    @job("j")
    async def forgets(j: AsyncJob) -> None:
        task = asyncio.create_task(j.step("long", long))
        await asyncio.sleep(0.01)
        assert not task.done()

    with pytest.raises(StepNotAwaited, match="step long was still running"):
        forgets.run(store=store)
    assert effects == ["finally"]


def test_a_name_met_twice_without_a_key_is_an_error(store: SqlStore) -> None:
    @job("j")
    async def twice(j: AsyncJob) -> None:
        await asyncio.gather(j.step("double", double, 1), j.step("double", double, 2))

    with pytest.raises(DuplicateStep, match="'double' was met twice"):
        twice.run(store=store)


def test_a_result_that_can_not_be_stored_fails_the_step_at_once(store: SqlStore) -> None:
    async def load() -> Any:
        return {1, 2}

    @job("j")
    async def wrong(j: AsyncJob) -> None:
        await j.step("load", load)

    with pytest.raises(UnstorableResult, match=r"step 'load': the result \(set\) would come back changed"):
        wrong.run(store=store)


def test_what_a_plain_function_gives_to_await_is_awaited(store: SqlStore) -> None:
    @job("j")
    async def lazy(j: AsyncJob) -> int:
        return await j.step("double", lambda: double(4))

    assert lazy.run(store=store) == 8
    assert lazy.run(id="j", store=store) == 8


def test_a_stop_iteration_of_a_plain_function_is_an_error_like_any_other(store: SqlStore) -> None:
    @job("j")
    async def wrong(j: AsyncJob) -> None:
        await j.step("next", next, iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        wrong.run(store=store)
    (step,) = store.list_steps("j")
    assert step.error.startswith("StopIteration")


def test_the_wrong_context_is_refused(store: SqlStore) -> None:
    async def fetch(step: StepContext[int]) -> None: ...

    def load(step: AsyncStepContext[int]) -> None: ...

    @job("j")
    async def wrong(j: AsyncJob, function: int) -> None:
        await (j.step("fetch", fetch) if function == 0 else j.step("load", load))  # type: ignore[arg-type]

    @job("plain")
    def plain(j: Job) -> None:
        j.step("load", load)  # type: ignore[arg-type]

    with pytest.raises(InvalidStep, match=r"step 'fetch': .* an async def gets an AsyncStepContext"):
        wrong.run({"function": 0}, id="fetch", store=store)
    with pytest.raises(InvalidStep, match=r"step 'load': .* a plain function gets a StepContext"):
        wrong.run({"function": 1}, id="load", store=store)
    with pytest.raises(InvalidStep, match=r"step 'load': .* a plain function gets a StepContext"):
        plain.run(store=store)


def test_the_wrong_job_is_refused_when_it_is_defined() -> None:
    with pytest.raises(JobDefinitionError, match=r"job 'j' is an async function.*async def wrong\(j: AsyncJob, …\)"):

        @job("j")
        async def wrong(j: Job) -> None: ...

    with pytest.raises(JobDefinitionError, match=r"job 'j' is a plain function.*def plain\(j: Job, …\)"):

        @job("j")
        def plain(j: AsyncJob) -> None: ...


def test_cursor_and_flush_are_awaited(store: SqlStore, effects: Effects) -> None:
    async def rows(step: AsyncStepContext[int], fail_at: int | None) -> int:
        async def read(after: int) -> Any:
            for number in range(after, 10):
                await asyncio.sleep(0)
                yield number

        async def flush() -> None:
            effects.append("flush")

        async for row in step.iterate(read(step.cursor or 0), cursor=lambda row: row + 1, every=4, flush=flush):
            if row == fail_at:
                raise Boom
            effects.append(str(row))
        await step.save(10)
        return step.cursor or 0

    @job("j")
    async def imports(j: AsyncJob, fail_at: int | None) -> int:
        return await j.step("rows", rows, fail_at)

    with pytest.raises(Boom):
        imports.run({"fail_at": 6}, store=store)
    assert imports.run({"fail_at": None}, store=store) == 10
    assert effects == ["0", "1", "2", "3", "flush", "4", "5", "4", "5", "6", "7", "flush", "8", "9", "flush"]


def test_a_checkpoint_is_published_with_the_cursor(store: SqlStore, tmp_path: Path) -> None:
    async def train(step: AsyncStepContext[int], fail: bool) -> str:
        if restored := await step.restored():
            return (restored / "model").read_text() + f" {step.cursor}"
        async with step.checkpoint(cursor=3) as folder:
            (folder / "model").write_text("weights")
        with pytest.raises(Boom):
            async with step.checkpoint(cursor=4):
                raise Boom
        raise Boom

    @job("j")
    async def training(j: AsyncJob, fail: bool) -> str:
        return await j.step("train", train, fail)

    with pytest.raises(Boom):
        training.run({"fail": True}, store=store)
    assert training.run({"fail": False}, store=store) == "weights 3"


def test_the_payload_is_shared_by_all_steps(store: SqlStore) -> None:
    @job("j")
    async def pay(j: AsyncJob) -> dict[str, int]:
        async def create() -> None:
            j.payload["customer"] = 7

        if j.attempt == 1:
            await j.step("create", create)
            raise Boom
        return dict(j.payload)

    with pytest.raises(Boom):
        pay.run(store=store)
    assert pay.run(store=store) == {"customer": 7}


def test_in_a_running_loop_run_says_what_to_do_and_arun_does_it(store: SqlStore) -> None:
    loops: list[object] = []

    @job("j")
    async def nested(j: AsyncJob, number: int) -> int:
        loops.append(asyncio.get_running_loop())
        return await j.step("double", double, number)

    @job("plain")
    def plain(j: Job, number: int) -> int:
        return j.step("double", plain_double, number)

    async def main() -> tuple[int, int]:
        loops.append(asyncio.get_running_loop())
        with pytest.raises(EventLoopRunning, match=r"job 'j' is async.*`await job\.arun\(…\)`"):
            nested.run({"number": 1}, store=store)
        return await nested.arun({"number": 2}, store=store), await plain.arun({"number": 3}, store=store)

    assert asyncio.run(main()) == (4, 6)
    assert loops[0] is loops[1]


def test_a_handle_runs_it_in_a_thread_with_a_loop_of_its_own(store: SqlStore) -> None:
    @job("j")
    async def nested(j: AsyncJob, number: int) -> int:
        return await j.step("double", double, number)

    async def main() -> int:
        handle = nested.start({"number": 2}, store=store)
        return await asyncio.to_thread(handle.result, 10)

    assert asyncio.run(main()) == 4


def test_a_run_whose_task_is_cancelled_goes_on_when_it_is_run_again(store: SqlStore, effects: Effects) -> None:
    async def long() -> None:
        effects.append("long")
        await asyncio.sleep(60)

    @job("j")
    async def waits(j: AsyncJob) -> int:
        await j.step("first", effects.of("first"))
        if j.attempt == 1:
            await j.step("long", long)
        return j.attempt

    async def main() -> int:
        task = asyncio.create_task(waits.arun(store=store))
        while "long" not in effects:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert status(store, "j") is RunStatus.INTERRUPTED
        return await waits.arun(store=store)

    assert asyncio.run(main()) == 2
    assert effects == ["first", "long"]


def test_a_cancelled_error_that_nobody_caused_is_a_failure(store: SqlStore) -> None:
    @job("j")
    async def wrong(j: AsyncJob) -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task

    with pytest.raises(RuntimeError, match="a task that had been cancelled"):
        wrong.run(store=store)
    assert status(store, "j") is RunStatus.PENDING


def test_leaving_by_sys_exit_is_a_failure_not_an_end(store: SqlStore) -> None:
    @job("j")
    async def leave(j: AsyncJob) -> None:
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        leave.run(store=store)
    assert status(store, "j") is RunStatus.PENDING
