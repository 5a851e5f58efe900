"""Undoing, on a real SQLite in memory; each `run` is one attempt."""

import time
from typing import Any

import pytest

from resumable import AsyncJob, Fatal, Interrupted, InvalidStep, Job, Retry, RunTimeout, StepFailed, job
from resumable.sdk.in_process import JobRun
from resumable.state.record import RunStatus, StepRef, StepStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import Expected, RestartRequest
from tests.sdk.process import wait_for
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import run_of

ONCE = Retry(max_attempts=1)


class Down(Exception):
    pass


def refuse() -> None:
    raise Down("refused")


def test_what_was_done_is_undone_in_reverse_before_the_run_is_ended(store: SqlStore, effects: Effects) -> None:
    def undo(what: str) -> None:
        effects.append(f"undo {what}")
        assert run_of(store, "j").status is RunStatus.RUNNING

    @job("j")
    def order(j: Job) -> None:
        j.options(compensate=undo).step("reserve", effects.of("reserve", "seat"))
        j.on_failure(effects.of("tell"))
        j.options(compensate=undo, key=2).step("charge", effects.of("charge", "card"))
        j.options(compensate=undo, retry=ONCE).step("ship", refuse)

    with pytest.raises(StepFailed, match="step ship failed for good"):
        order.run(store=store)
    assert effects == ["reserve", "charge", "undo card", "tell", "undo seat"]
    run = run_of(store, "j")
    assert (run.status, run.reason) == (RunStatus.FAILED, "StepFailed")
    done = [(step.name, step.key) for step in store.list_steps("j") if step.status is StepStatus.DONE]
    undone = [("compensate:charge", "2"), ("on-failure:1", ""), ("compensate:reserve", "")]
    assert done == [("reserve", ""), ("charge", "2"), *undone]


def test_a_failure_that_is_caught_undoes_nothing(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def order(j: Job) -> str:
        j.options(compensate=effects.append).step("reserve", effects.of("reserve", "seat"))
        with pytest.raises(StepFailed):
            j.options(retry=ONCE).step("ship", refuse)
        return "by hand"

    assert order.run(store=store) == "by hand"
    assert effects == ["reserve"]


def test_an_error_that_is_tried_again_undoes_nothing_yet(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def order(j: Job) -> None:
        j.options(compensate=effects.append).step("reserve", effects.of("reserve", "seat"))
        j.step("ship", refuse)

    with pytest.raises(Down):
        order.run(store=store)
    assert effects == ["reserve"]


def test_fatal_from_the_job_undoes_what_was_done(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def order(j: Job) -> None:
        j.on_failure(effects.append, "told")
        raise Fatal("nothing to order")

    with pytest.raises(Fatal):
        order.run(store=store)
    assert effects == ["told"]
    assert run_of(store, "j").reason == "Fatal"


def test_steps_of_earlier_attempts_are_undone_with_their_stored_results(store: SqlStore, effects: Effects) -> None:
    def undo(seat: tuple[str, int]) -> None:
        effects.append(f"undo {seat!r}")

    def reserve() -> tuple[str, int]:
        effects.append("reserve")
        return "A", 7

    @job("j")
    def order(j: Job, fail: str) -> None:
        j.options(compensate=undo).step("reserve", reserve)
        if fail == "the process":
            raise Down
        raise Fatal("sold out")

    with pytest.raises(Down):
        order.run({"fail": "the process"}, store=store)
    with pytest.raises(Fatal):
        order.run({"fail": "for good"}, store=store)
    assert effects == ["reserve", "undo ('A', 7)"]


def test_after_an_interruption_it_goes_on_with_what_is_not_undone_yet(store: SqlStore, effects: Effects) -> None:
    def undo(n: int) -> None:
        effects.append(f"undo {n}")
        if n == 1 and effects.count("undo 1") == 1:
            raise Down("the service is away")

    @job("j")
    def order(j: Job) -> None:
        for n in range(3):
            j.options(compensate=undo, key=n).step("reserve", effects.of(f"reserve {n}", n))
        j.options(retry=ONCE).step("ship", refuse)

    with pytest.raises(Down, match="the service is away"):
        order.run(store=store)
    assert run_of(store, "j").status is RunStatus.PENDING  # one more attempt, as for any failure
    with pytest.raises(StepFailed):
        order.run(store=store)
    assert effects == ["reserve 0", "reserve 1", "reserve 2", "undo 2", "undo 1", "undo 1", "undo 0"]
    assert run_of(store, "j").status is RunStatus.FAILED


def test_a_stop_that_is_asked_for_in_the_middle_leaves_between_two(store: SqlStore, effects: Effects) -> None:
    handles: list[JobRun[None]] = []

    def first() -> None:
        wait_for(lambda: bool(handles), "the test has its handle")
        handles[0].stop()
        effects.append("first")

    @job("j")
    def order(j: Job) -> None:
        j.on_failure(effects.append, "second")
        j.on_failure(first)
        raise Fatal("sold out")

    running = order.start(store=store)
    handles.append(running)
    with pytest.raises(Interrupted):
        running.result(timeout=10)
    assert effects == ["first"]
    with pytest.raises(Fatal):
        order.run(store=store)
    assert effects == ["first", "second"]


def test_a_restart_does_once_more_what_was_undone(
    store: SqlStore, effects: Effects, caplog: pytest.LogCaptureFixture
) -> None:
    @job("j")
    def order(j: Job) -> None:
        j.step("look", effects.of("look"))
        j.options(compensate=effects.append).step("reserve", effects.of("reserve", "undo seat"))
        j.step("ship", ship)

    def ship() -> None:
        effects.append("ship")
        if effects.count("ship") == 1:
            raise Fatal("no truck")

    with pytest.raises(StepFailed):
        order.run(store=store)
    effects.clear()
    effects.append("ship")
    store.restart("j", Expected.of(run_of(store, "j")), RestartRequest(request_id="again", from_step=StepRef("ship")))
    order.run(store=store)
    assert effects == ["ship", "reserve", "ship"]
    assert "drift" not in caplog.text


class Cut:
    """Undoes, until the process is cut off; it is after so many."""

    def __init__(self, effects: Effects, after: int) -> None:
        self.effects = effects
        self.left: int | None = after

    def undo(self, what: object) -> None:
        if self.left == 0:
            self.left = None
            raise Down("cut off")
        self.left = None if self.left is None else self.left - 1
        self.effects.append(f"undo {what}")


def test_a_run_that_is_undone_in_part_does_not_succeed(store: SqlStore, effects: Effects) -> None:
    cut = Cut(effects, after=1)
    fails = [True, False]

    @job("j")
    def order(j: Job) -> str:
        j.options(compensate=cut.undo).step("reserve", effects.of("reserve", "seat"))
        j.options(compensate=cut.undo).step("charge", effects.of("charge", "card"))
        if fails.pop(0):
            raise Fatal("says the clock")
        return "sent"

    with pytest.raises(Down):
        order.run(store=store)
    with pytest.raises(Fatal, match="begun to undo what was done, and the job's function did not fail again"):
        order.run(store=store)
    assert effects == ["reserve", "charge", "undo card", "undo seat"]
    assert run_of(store, "j").status is RunStatus.FAILED


def test_it_begins_nothing_new_and_still_undoes_all(store: SqlStore, effects: Effects) -> None:
    cut = Cut(effects, after=1)

    def pack(item: str) -> str:
        if item == "b":
            wait_for(lambda: len([step for step in store.list_steps("j") if step.result]) == 2, "the others are packed")
            raise Down("broken")
        effects.append(item)
        return item

    @job("j")
    def order(j: Job) -> None:
        j.options(compensate=cut.undo, retry=ONCE).map("pack", pack, first, concurrency=3)

    first = ["b", "c", "d"]
    with pytest.raises(Down, match="cut off"):
        order.run(store=store)
    first.insert(0, "a")
    with pytest.raises(StepFailed, match=r"step pack\[b\] failed for good: .*Down: broken"):
        order.run(store=store)
    assert sorted(effects) == ["c", "d", "undo c", "undo d"]
    assert run_of(store, "j").reason == "StepFailed"


def test_undoing_because_its_time_was_over_goes_on_when_nothing_is_left_to_do(
    store: SqlStore, effects: Effects
) -> None:
    cut = Cut(effects, after=1)

    def slow(item: int) -> int:
        wait_for(lambda: time.monotonic() > began + 0.3, "the run's time is over")
        return item

    @job("j", timeout="200ms")
    def order(j: Job) -> None:
        j.options(compensate=cut.undo).map("work", slow, range(3), concurrency=3)

    began = time.monotonic()
    with pytest.raises(Down):
        order.run(store=store)
    with pytest.raises(RunTimeout):
        order.run(store=store)
    assert sorted(effects) == ["undo 0", "undo 1", "undo 2"]
    assert run_of(store, "j").status is RunStatus.FAILED


@pytest.mark.parametrize("timeout", [None, "10s"])
def test_what_to_undo_is_not_registered_inside_a_step(store: SqlStore, timeout: str | None) -> None:
    @job("plain")
    def plain(j: Job) -> None:
        def register(_: int) -> None:
            with pytest.raises(InvalidStep, match="on_failure is called inside a step, which no later attempt runs"):
                j.on_failure(print)
            with pytest.raises(InvalidStep, match=r"options\(compensate=\) is called inside a step"):
                j.options(compensate=print)

        j.options(timeout=timeout).step("s", register, 0)
        j.options(timeout=timeout).map("m", register, [1, 2])
        j.on_failure(print)

    @job("async")
    async def awaiting(j: AsyncJob) -> None:
        def register(_: int) -> None:
            with pytest.raises(InvalidStep, match="on_failure is called inside a step, which no later attempt runs"):
                j.on_failure(print)
            with pytest.raises(InvalidStep, match=r"options\(compensate=\) is called inside a step"):
                j.options(compensate=print)

        async def register_async(_: int) -> None:
            register(_)

        for n, function in enumerate((register, register_async)):
            await j.options(timeout=timeout, key=n).step("s", function, 0)
            await j.options(timeout=timeout).map(f"m{n}", function, [1, 2])
        j.on_failure(print)

    plain.run(store=store)
    awaiting.run(store=store)


def test_an_async_function_is_refused_by_a_job_that_could_not_await_it(store: SqlStore) -> None:
    async def undo(_: object) -> None: ...

    @job("j")
    def order(j: Job) -> None:
        with pytest.raises(InvalidStep, match=r"compensate=: <function .* is an async function; a job that"):
            j.options(compensate=undo)
        with pytest.raises(InvalidStep, match=r"on_failure: <function .* is an async function; a job that"):
            j.on_failure(undo, 1)

    order.run(store=store)


@pytest.mark.parametrize("wrong", [5, "undo"])
def test_what_is_no_function_is_refused(store: SqlStore, wrong: Any) -> None:
    @job("j")
    def order(j: Job) -> None:
        with pytest.raises(InvalidStep, match="compensate= takes a function of the step's result, not"):
            j.options(compensate=wrong)
        with pytest.raises(InvalidStep, match="on_failure takes a function and its arguments, not"):
            j.on_failure(wrong)

    order.run(store=store)
