"""Steps with a timeout, on a real SQLite in memory."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from resumable import AsyncJob, Interrupted, InvalidStep, Job, Retry, StepContext, StepFailed, StepTimeout, job
from resumable.state.outcome import WriteOutcome
from resumable.state.record import Fence, StepStatus, Write
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep
from tests.sdk.process import wait_for
from tests.unit.sdk.effects import Effects


@pytest.fixture
def stuck() -> threading.Event:
    """What a stuck step waits for; set at the end of its test, so that no thread outlives it for long."""
    return threading.Event()


def stays(stuck: threading.Event, effects: Effects, name: str = "began") -> Callable[[], None]:
    def wait() -> None:
        effects.append(name)
        stuck.wait(30)
        effects.append("went on")

    return wait


def test_a_step_that_takes_too_long_fails(store: SqlStore, effects: Effects, stuck: threading.Event) -> None:
    @job("j")
    def pay(j: Job) -> None:
        j.options(timeout="50ms").step("charge", stays(stuck, effects))

    with pytest.raises(StepTimeout, match=r"step charge did not end within 0\.05s"):
        pay.run(store=store)
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.FAILED
    assert step.error == "resumable.sdk.errors.StepTimeout: step charge did not end within 0.05s"
    stuck.set()


def test_a_step_that_ends_in_time_is_as_without(store: SqlStore) -> None:
    def add(a: int, *, b: int) -> int:
        return a + b

    @job("j")
    def pay(j: Job) -> int:
        return j.options(timeout=timedelta(seconds=30)).step("add", add, 1, b=2)

    assert pay.run(store=store) == 3


def test_an_error_of_the_step_passes_on_with_its_own_type(store: SqlStore) -> None:
    def refuse() -> None:
        raise TimeoutError("its own")

    @job("j")
    def pay(j: Job) -> None:
        j.options(timeout="30s").step("charge", refuse)

    with pytest.raises(TimeoutError, match="its own") as raised:
        pay.run(store=store)
    assert not isinstance(raised.value, StepTimeout)


def test_a_retry_policy_sees_the_timeout(store: SqlStore, effects: Effects, stuck: threading.Event) -> None:
    policy = Retry(max_attempts=2, initial="1ms", on=TimeoutError)

    @job("j")
    def pay(j: Job) -> str:
        with pytest.raises(StepFailed) as failed:
            j.options(timeout="50ms", retry=policy).step("charge", stays(stuck, effects))
        return failed.value.error

    assert "did not end within" in pay.run(store=store)
    assert effects == ["began", "began"]
    stuck.set()


def test_what_is_left_of_it_can_not_save_and_leaves_at_its_safe_point(
    store: SqlStore, effects: Effects, stuck: threading.Event
) -> None:
    ended = threading.Event()

    def imports(step: StepContext[int]) -> int:
        if step.cursor:
            return step.cursor
        step.save(1)
        stuck.wait(30)
        try:
            assert step.stopping
            step.save(2)
        except BaseException as error:  # noqa: BLE001 - a control exception
            effects.append(type(error).__name__)
        try:
            step.stop_if_asked()
        finally:
            ended.set()
        return 99

    @job("j")
    def pay(j: Job) -> int:
        try:
            j.options(timeout="1s").step("import", imports)
        except StepTimeout:
            stuck.set()
            wait_for(ended.is_set, "the thread that was left has ended")
        return 1

    pay.run(store=store)
    assert effects == ["StepCutOff"]
    (cursor,) = store.list_cursors("j")
    assert cursor.value is not None
    assert cursor.value.data == b"1"
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.FAILED


def test_steps_that_it_calls_are_cut_off_with_it(store: SqlStore, effects: Effects, stuck: threading.Event) -> None:
    ended = threading.Event()

    @job("j")
    def pay(j: Job) -> None:
        def outer() -> None:
            stuck.wait(30)
            try:
                j.step("inner", effects.of("inner"))
            finally:
                ended.set()

        try:
            j.options(timeout="50ms").step("outer", outer)
        except StepTimeout:
            stuck.set()
            wait_for(ended.is_set, "the thread that was left has ended")

    pay.run(store=store)
    assert effects == []
    assert [step.name for step in store.list_steps("j")] == ["outer"]


def test_it_leaves_at_a_safe_point_inside_when_it_is_asked_to(store: SqlStore, effects: Effects) -> None:
    def wait(step: StepContext[int]) -> None:
        effects.append("waits")
        while True:
            step.stop_if_asked()

    @job("j")
    def pay(j: Job) -> None:
        j.options(timeout="30s").step("wait", wait)

    running = pay.start(store=store)
    wait_for(lambda: bool(effects), "it has begun")
    running.stop()
    with pytest.raises(Interrupted):
        running.result(timeout=10)


@pytest.mark.parametrize(
    ("timeout", "said"), [(30, "timeout=: 30 is not a duration"), ("0s", "timeout= is a duration longer than 0")]
)
def test_a_timeout_that_is_none_is_refused(store: SqlStore, timeout: str, said: str) -> None:
    @job("j")
    def pay(j: Job) -> None:
        j.options(timeout=timeout)

    with pytest.raises(InvalidStep, match=said):
        pay.run(store=store)


class Held(SqlStore):
    """Its answer to the end of step "first" takes until somebody says so."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        self.let_go = threading.Event()
        self.was_let_go = False

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        if step.name == "first":
            self.was_let_go = self.let_go.wait(10)
        return super().finish_step(fence, write, step)


def test_the_event_loop_goes_on_while_a_write_under_way_keeps_a_late_step_waiting() -> None:
    store = Held()
    cancelled = asyncio.Event()

    async def first() -> None:
        pass

    async def late() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()

    async def goes_on() -> None:
        await cancelled.wait()
        await asyncio.sleep(0.1)  # the late step is being cut off
        store.let_go.set()

    @job("j")
    async def pay(j: AsyncJob) -> None:
        once = Retry(max_attempts=1)
        steps = (j.step("first", first), j.options(timeout="100ms", retry=once).step("late", late))
        _, failed, _ = await asyncio.gather(*steps, goes_on(), return_exceptions=True)
        assert isinstance(failed, StepFailed)

    pay.run(store=store)
    store.close()
    assert store.was_let_go
