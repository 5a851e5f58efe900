"""Whatever a plain job can do an async one can do too: the same names, and the same behaviour in the same scenarios.

Each scenario is a small class: its job is written once, `tests.sdk.styles` makes a plain job and async ones of it.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine, insert, select

from resumable import (
    AsyncJob,
    AsyncStepContext,
    DuplicateStep,
    Fatal,
    Interrupted,
    Job,
    Paused,
    ResultExpired,
    Retry,
    StepContext,
    StepFailed,
    StepTimeout,
    Waiting,
    WaitTimeout,
)
from resumable.sdk.async_job import AsyncStepCaller
from resumable.sdk.step import StepCaller
from resumable.state.record import Encoded, RunStatus, StepStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import NewSignal
from tests.sdk.process import wait_for
from tests.sdk.styles import STYLES, Style
from tests.unit.sdk.effects import Effects


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("plain", "asynchronous"), [(Job, AsyncJob), (StepCaller, AsyncStepCaller), (StepContext, AsyncStepContext)]
)
def test_each_public_name_is_there_in_both(plain: type, asynchronous: type) -> None:
    assert public(plain) == public(asynchronous)


def test_each_public_name_is_documented_in_both() -> None:
    for kind in (Job, AsyncJob, StepContext, AsyncStepContext):
        assert [name for name in public(kind) if name != "name" and not getattr(kind, name).__doc__] == []


class Boom(Exception):
    pass


@pytest.fixture(params=STYLES, ids=lambda style: style.name)
def style(request: pytest.FixtureRequest) -> Style:
    chosen: Style = request.param
    return chosen


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    store = SqlStore("sqlite://")
    yield store
    store.close()


@pytest.fixture
def effects() -> Effects:
    return Effects()


def status(store: SqlStore) -> tuple[RunStatus, str]:
    run = store.get_run("j")
    assert run is not None
    return run.status, run.reason


def fails_until(effects: Effects, name: str, count: int) -> Callable[[], int]:
    """Raises until it has been called so often."""

    def flaky() -> int:
        effects.append(name)
        if effects.count(name) < count:
            raise OSError(f"try {effects.count(name)}")
        return effects.count(name)

    return flaky


def test_results_and_keys_are_replayed(style: Style, store: SqlStore, effects: Effects) -> None:
    def ship(number: int) -> datetime:
        effects.append(f"ship {number}")
        return datetime(2026, 1, number, tzinfo=UTC)

    async def scenario(j: Any) -> list[int]:
        days = [await j.options(key=n).step("ship", style.fn(ship), n) for n in (1, 2)]
        if j.attempt == 1:
            raise Boom
        return [day.day for day in days]

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == [1, 2]
    assert effects == ["ship 1", "ship 2"]


def test_a_name_without_a_key_is_met_once(style: Style, store: SqlStore) -> None:
    async def scenario(j: Any) -> None:
        await j.step("s", style.fn(lambda: None))
        await j.step("s", style.fn(lambda: None))

    with pytest.raises(DuplicateStep):
        style.job(scenario).run(store=store)


def test_a_step_is_tried_again_in_the_process_while_the_wait_is_short(
    style: Style, store: SqlStore, effects: Effects
) -> None:
    async def scenario(j: Any) -> int:
        retry = Retry(max_attempts=3, initial="10ms")
        return int(await j.options(retry=retry).step("flaky", style.fn(fails_until(effects, "try", 3))))

    assert style.job(scenario).run(store=store) == 3
    assert [each.error.split(" (")[0] for each in store.list_tries("j")] == ["OSError: try 1", "OSError: try 2", ""]


def test_a_long_wait_for_the_next_try_needs_no_process(style: Style, store: SqlStore, effects: Effects) -> None:
    async def scenario(j: Any) -> int:
        retry = Retry(max_attempts=3, initial="300ms", jitter=0, hold="10ms")
        return int(await j.options(retry=retry).step("flaky", style.fn(fails_until(effects, "try", 2))))

    with pytest.raises(Waiting):
        style.job(scenario).run(store=store)
    assert status(store) == (RunStatus.WAITING, "RetryBackOff")
    wait_until_due(store)
    assert style.job(scenario).run(store=store) == 2


def wait_until_due(store: SqlStore) -> None:
    run = store.get_run("j")
    assert run is not None
    assert run.wake_at is not None
    wake_at = run.wake_at

    def due() -> bool:
        view = store.view("j")
        return view is not None and view.now >= wake_at

    wait_for(due, "the run to be due")


def test_a_spent_policy_is_final_and_can_be_caught(style: Style, store: SqlStore, effects: Effects) -> None:
    async def scenario(j: Any) -> str:
        retry = Retry(max_attempts=2, initial="1ms")
        try:
            await j.options(retry=retry).step("flaky", style.fn(fails_until(effects, "try", 9)))
        except StepFailed as failed:
            if j.attempt == 1:
                raise Boom from failed
            return failed.error.split(" (")[0]
        raise AssertionError

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == "OSError: try 2"
    assert effects == ["try", "try"]


def test_a_failure_for_good_undoes_in_reverse_order_and_fails_the_run(
    style: Style, store: SqlStore, effects: Effects
) -> None:
    def undo(what: str) -> None:
        effects.append(f"undo {what}")

    def fail() -> None:
        raise Fatal("no more")

    async def scenario(j: Any) -> None:
        j.on_failure(style.fn(undo), "registered")
        await j.options(compensate=style.fn(undo)).step("one", style.fn(effects.of("one", "1")))
        await j.options(key="a", compensate=style.fn(undo)).step("two", style.fn(effects.of("two", "2")))
        await j.step("fail", style.fn(fail))

    with pytest.raises(StepFailed):
        style.job(scenario).run(store=store)
    assert status(store) == (RunStatus.FAILED, "StepFailed")
    assert effects == ["one", "two", "undo 2", "undo 1", "undo registered"]


def test_a_policy_by_hand_pauses_the_run(style: Style, store: SqlStore, effects: Effects) -> None:
    async def scenario(j: Any) -> None:
        await j.options(retry=Retry.manual()).step("flaky", style.fn(fails_until(effects, "try", 2)))

    with pytest.raises(Paused):
        style.job(scenario).run(store=store)
    assert status(store) == (RunStatus.PAUSED, "StepFailed")


def test_a_step_that_takes_too_long_fails(style: Style, store: SqlStore) -> None:
    go = threading.Event()

    async def slow(step: Any) -> None:
        if style.async_steps:
            import asyncio

            await asyncio.sleep(60)
        go.wait(60)

    async def scenario(j: Any) -> str:
        try:
            await j.options(timeout="100ms").step("slow", style.with_context(slow))
        except StepTimeout as timeout:
            return str(timeout)
        raise AssertionError

    assert style.job(scenario).run(store=store) == "step slow did not end within 0.10s"
    go.set()


def test_an_at_most_once_step_is_not_repeated(style: Style, store: SqlStore, effects: Effects) -> None:
    def charge() -> None:
        effects.append("charge")
        raise Boom

    async def scenario(j: Any) -> str:
        options = j.options(effect="at-most-once", on_unknown="skip")
        return str(await options.step("charge", style.fn(charge)))

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == "None"
    assert effects == ["charge"]


def test_a_long_wait_needs_no_process_and_a_signal_ends_it(style: Style, store: SqlStore) -> None:
    async def scenario(j: Any) -> list[object]:
        received = await j.wait("approval", bool, hold="0s")
        return [received.payload, received.sender, received.id]

    with pytest.raises(Waiting):
        style.job(scenario).run(store=store)
    assert status(store) == (RunStatus.WAITING, "SignalWait")
    store.send_signal("j", NewSignal(id="1", name="approval", payload=Encoded("json", b"true"), sender="ann"))
    assert style.job(scenario).run(store=store) == [True, "ann", "1"]
    assert [signal.consumed_by for signal in store.list_signals("j")] == ["approval"]


def test_a_signal_that_comes_while_it_is_held_is_taken(style: Style, store: SqlStore) -> None:
    async def scenario(j: Any) -> Any:
        threading.Timer(0.2, store.send_signal, ("j", NewSignal(id="1", name="go"))).start()
        return (await j.wait("go")).payload

    assert style.job(scenario).run(store=store) is None


def test_a_wait_times_out_for_good(style: Style, store: SqlStore) -> None:
    async def scenario(j: Any) -> str:
        try:
            await j.wait("never", timeout="50ms")
        except WaitTimeout as timeout:
            if j.attempt == 1:
                raise Boom from timeout
            return str(timeout)
        raise AssertionError

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == "step never: no signal 'never' came within 0.05s"


def test_a_short_sleep_is_held_and_a_long_one_needs_no_process(style: Style, store: SqlStore, effects: Effects) -> None:
    async def scenario(j: Any) -> str:
        await j.sleep("short", "10ms")
        await j.sleep_until("past", datetime(2026, 1, 1, tzinfo=UTC))
        effects.append(f"attempt {j.attempt}")
        await j.sleep("long", "300ms", hold="10ms")
        return "slept"

    with pytest.raises(Waiting):
        style.job(scenario).run(store=store)
    assert status(store) == (RunStatus.WAITING, "TimerWait")
    wait_until_due(store)
    assert style.job(scenario).run(store=store) == "slept"
    assert effects == ["attempt 1", "attempt 2"]


def test_map_gives_results_in_order_and_tolerates_failures(style: Style, store: SqlStore, effects: Effects) -> None:
    def make(number: int) -> int:
        effects.append(f"make {number}")
        if number == 2:
            raise ValueError(number)
        return number * number

    async def scenario(j: Any) -> list[object]:
        made = await j.map("make", style.fn(make), [3, 1, 2], concurrency=2, tolerate=1)
        return [each.step if isinstance(each, StepFailed) else each for each in made]

    assert style.job(scenario).run(store=store) == [9, 1, "make[2]"]
    assert sorted(effects) == ["make 1", "make 2", "make 3"]


def test_map_keeps_what_was_finished(style: Style, store: SqlStore, effects: Effects) -> None:
    def make(number: int) -> int:
        effects.append(f"make {number}")
        if number == 3 and effects.count("make 3") == 1:
            raise Boom
        return number

    async def scenario(j: Any) -> list[int]:
        return list(await j.map("make", style.fn(make), range(1, 6), concurrency=1))

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == [1, 2, 3, 4, 5]
    assert effects == ["make 1", "make 2", "make 3", "make 3", "make 4", "make 5"]


def test_map_tries_each_item_again(style: Style, store: SqlStore, effects: Effects) -> None:
    async def scenario(j: Any) -> list[int]:
        retry = Retry(max_attempts=3, initial="1ms")
        return list(await j.options(retry=retry).map("make", style.fn(lambda n: flaky()), ["a"]))

    flaky = fails_until(effects, "try", 3)
    assert style.job(scenario).run(store=store) == [3]


def test_the_payload_is_stored_with_the_next_result(style: Style, store: SqlStore) -> None:
    async def scenario(j: Any) -> int:
        def create() -> None:
            j.payload["customer"] = 7

        if j.attempt == 1:
            await j.step("create", style.fn(create))
            raise Boom
        return int(j.payload["customer"])

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == 7


def test_a_result_is_kept_as_long_as_it_says(style: Style, store: SqlStore, effects: Effects) -> None:
    async def scenario(j: Any) -> None:
        await j.options(keep="1ms").step("again", style.fn(effects.of("again")))
        await j.options(keep="1ms", on_expired="fail").step("fails", style.fn(effects.of("fails")))
        raise Boom

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    wait_for(lambda: expired(store), "the results to expire")
    with pytest.raises(ResultExpired):
        style.job(scenario).run(store=store)
    assert effects == ["again", "fails", "again"]


def expired(store: SqlStore) -> bool:
    view = store.view("j")
    return view is not None and all(
        step.expires is not None and step.expires < view.now - timedelta(milliseconds=1)
        for step in store.list_steps("j")
    )


def test_a_forgotten_step_runs_again(style: Style, store: SqlStore, effects: Effects) -> None:
    async def scenario(j: Any) -> None:
        await j.step("log-in", style.fn(effects.of("log-in")))
        await j.forget("log-in")
        await j.step("log-in", style.fn(effects.of("log-in")))

    style.job(scenario).run(store=store)
    assert effects == ["log-in", "log-in"]


def test_a_renamed_step_is_the_old_one(style: Style, store: SqlStore, effects: Effects) -> None:
    def scenario(name: str, **options: str) -> Any:
        async def run(j: Any) -> None:
            await j.options(**options).step(name, style.fn(effects.of(name)))
            if name == "old":
                raise Boom

        return run

    with pytest.raises(Boom):
        style.job(scenario("old")).run(store=store)
    style.job(scenario("new", renamed_from="old")).run(store=store)
    assert effects == ["old"]


def test_a_step_goes_on_from_its_cursor_and_its_checkpoint(style: Style, store: SqlStore, effects: Effects) -> None:
    async def rows(step: Any) -> str:
        async for row in step.iterate(range(step.cursor or 0, 6), cursor=lambda row: row + 1, every=2):
            if row == 3 and effects.count("3") == 0:
                effects.append("3")
                raise Boom
            effects.append(str(row))
        async with step.checkpoint(cursor=7) as folder:
            (folder / "model").write_text("weights")
        step.progress(1, 2, "saved")
        with step.shield("1s"):
            await step.stop_if_asked()
        assert not step.due("1h")
        assert step.remaining() is None
        return f"{step.cursor} {step.key} {len(step.idempotency_key)}"

    async def scenario(j: Any) -> str:
        await j.stop_if_asked()
        return str(await j.options(key="k").step("rows", style.with_context(rows)))

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == "7 k 32"
    assert effects == ["0", "1", "2", "3", "2", "3", "4", "5"]


def test_it_leaves_at_a_safe_point_when_it_is_asked_to(style: Style, store: SqlStore, effects: Effects) -> None:
    async def rows(step: Any) -> int:
        async for row in step.iterate(range(step.cursor or 0, 10**9), cursor=lambda row: row + 1, every="1h"):
            effects.append("row")
            if step.cursor:
                return row
        raise AssertionError

    async def scenario(j: Any) -> int:
        return int(await j.step("rows", style.with_context(rows)))

    handle = style.job(scenario).start(store=store)
    wait_for(lambda: len(effects) > 10, "it to run")
    handle.stop()
    with pytest.raises(Interrupted):
        handle.result(timeout=20)
    done = effects.count("row")
    assert style.job(scenario).run(store=store) == done


def test_the_runs_time_is_limited(style: Style, store: SqlStore) -> None:
    async def loops(step: Any) -> None:
        async for _ in step.iterate(iter(int, 1), cursor=lambda row: row):
            pass

    async def scenario(j: Any) -> None:
        await j.step("loops", style.with_context(loops))

    with pytest.raises(Exception, match="the run's time is over"):
        style.job(scenario, timeout="200ms").run(store=store)
    assert status(store) == (RunStatus.FAILED, "RunTimeout")


def test_another_version_is_handled_as_said(style: Style, store: SqlStore, effects: Effects) -> None:
    async def scenario(j: Any) -> None:
        await j.step("s", style.fn(effects.of("s")))
        raise Boom

    with pytest.raises(Boom):
        style.job(scenario, version="1").run(store=store)
    with pytest.raises(Exception, match="version 1"):
        style.job(scenario, version="2", on_version_mismatch="fail").run(store=store)
    assert status(store) == (RunStatus.FAILED, "VersionMismatch")
    assert [step.status for step in store.list_steps("j")] == [StepStatus.DONE]


TARGET = Table("target", MetaData(), Column("number", Integer))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/target.db")
    TARGET.create(engine)
    yield engine
    engine.dispose()


def numbers(database: Engine) -> list[int]:
    with database.connect() as connection:
        return list(connection.scalars(select(TARGET.c.number)))


def test_a_transaction_is_committed_with_the_step(style: Style, store: SqlStore, database: Engine) -> None:
    def write(connection: Connection, number: int) -> int:
        connection.execute(insert(TARGET).values(number=number))
        if number == 2:
            raise Boom
        return number

    async def scenario(j: Any) -> int:
        done = await j.transaction("one", database, write, 1)
        if j.attempt == 1:
            await j.transaction("two", database, write, 2)
        return int(done)

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == 1
    assert numbers(database) == [1]


def test_a_batch_is_committed_with_its_cursor(style: Style, store: SqlStore, database: Engine) -> None:
    async def rows(step: Any) -> int:
        for number in range(step.cursor or 0, 4):
            async with step.transaction(database) as connection:
                connection.execute(insert(TARGET).values(number=number))
                await step.save(number + 1)
                if number == 2 and numbers_so_far(connection) == 3 and not failed:
                    failed.append(True)
                    raise Boom
        return int(step.cursor)

    def numbers_so_far(connection: Connection) -> int:
        return len(connection.scalars(select(TARGET.c.number)).all())

    failed: list[bool] = []

    async def scenario(j: Any) -> int:
        return int(await j.step("rows", style.with_context(rows)))

    with pytest.raises(Boom):
        style.job(scenario).run(store=store)
    assert style.job(scenario).run(store=store) == 4
    assert numbers(database) == [0, 1, 2, 3]
