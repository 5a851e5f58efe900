"""Jobs that survive everything: none of these is to be found."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from resumable import (
    AsyncJob,
    EventLoopRunning,
    Fatal,
    Job,
    Received,
    Retry,
    RunNotRunnable,
    StepContext,
    StepFailed,
    WaitTimeout,
    job,
)
from resumable.testing import Jobs


@dataclass
class World:
    """The author's fakes."""

    jobs: Jobs
    table: dict[int, str] = field(default_factory=dict)
    failures: int = 0

    def fresh(self) -> None:
        self.table.clear()
        self.failures = 0

    def create(self, name: str) -> int:
        self.jobs.effect("created", name)
        return len(name)

    def ship(self, product: str, customer: int) -> str:
        self.jobs.effect("shipped", product)
        return f"{product}-{customer}"


@pytest.fixture
def world(jobs: Jobs) -> World:
    return World(jobs)


def test_a_loop_of_steps(jobs: Jobs, world: World) -> None:
    @job("provision")
    def provision(j: Job, name: str, products: list[str]) -> list[str]:
        customer = j.step("create", world.create, name)
        return [j.options(key=each).step("ship", world.ship, each, customer) for each in products]

    result = jobs.run(provision, {"name": "Ann", "products": ["desk", "lamp"]})

    assert result == ["desk-3", "lamp-3"]
    assert jobs.effects == [("created", "Ann"), ("shipped", "desk"), ("shipped", "lamp")]
    assert jobs.points > 20


def test_rows_with_their_cursor(jobs: Jobs, world: World) -> None:
    def import_rows(step: StepContext[int]) -> int:
        batch: list[int] = []

        def write() -> None:
            for row in batch:
                jobs.effect("row", row)
                world.table[row] = "written"
            batch.clear()

        rows = range((step.cursor or 0) + 1, 21)
        for row in step.iterate(rows, cursor=lambda row: row, every=3, flush=write):
            batch.append(row)  # noqa: PERF402
        return len(world.table)

    @job("import")
    def importing(j: Job) -> int:
        return j.step("import", import_rows)

    assert jobs.run(importing, fresh=world.fresh, state=lambda: dict(world.table)) == 20


def test_a_wait_for_a_signal_a_sleep_and_a_wait_in_vain(jobs: Jobs) -> None:
    @job("approve")
    def approve(j: Job) -> str:
        answer: Received[str] = j.wait("approval", str, timeout="3d")
        j.sleep("cool-down", "30d")
        try:
            j.wait("objection", str, timeout="2w")
        except WaitTimeout:
            return f"{answer.payload} by {answer.sender}"
        return "objected"

    began = jobs.now
    jobs.signal("approval", "granted", sender="ann")
    assert jobs.run(approve) == "granted by ann"
    jobs.signal("approval", "granted", sender="bob", early=True)
    assert jobs.run(approve) == "granted by bob"
    assert jobs.now - began >= timedelta(days=44)


def test_a_fake_answers_with_a_signal(jobs: Jobs) -> None:
    def ask() -> None:
        jobs.effect("asked")
        jobs.signal("answer", 42)

    @job("ask")
    def asking(j: Job) -> int:
        j.step("ask", ask)
        return j.wait("answer", int).payload

    assert jobs.run(asking) == 42


def test_items_of_a_map(jobs: Jobs, world: World) -> None:
    def thumb(product: str) -> str:
        return world.ship(product, 1)

    @job("thumbs")
    def thumbs(j: Job) -> list[str]:
        return j.map("thumb", thumb, ["a", "b", "c", "d"], concurrency=3)

    assert jobs.run(thumbs) == ["a-1", "b-1", "c-1", "d-1"]


def test_tries_with_long_pauses(jobs: Jobs, world: World) -> None:
    def flaky() -> str:
        world.failures += 1
        if world.failures < 3:
            raise OSError("away")
        jobs.effect("sent")
        return "sent"

    @job("send")
    def send(j: Job) -> str:
        return j.options(retry=Retry(max_attempts=10, initial="1h", maximum="1d", on=OSError)).step("send", flaky)

    assert jobs.run(send, fresh=world.fresh) == "sent"


def test_what_fails_for_good_is_undone_once(jobs: Jobs, world: World) -> None:
    def give_back(_: int) -> None:
        jobs.effect("given back")

    def refuse() -> None:
        raise Fatal("out of stock")

    @job("order")
    def order(j: Job) -> None:
        j.options(compensate=give_back).step("create", world.create, "Ann")
        j.step("ship", refuse)

    with pytest.raises((StepFailed, Fatal), match="out of stock"):
        jobs.run(order)
    assert jobs.effects == [("created", "Ann"), ("given back",)]


def test_an_attempt_that_fails_is_followed_by_the_next(jobs: Jobs, world: World) -> None:
    def flaky() -> int:
        world.failures += 1
        if world.failures == 1:
            raise OSError("away")
        return 1

    @job("again")
    def again(j: Job) -> int:
        return j.step("flaky", flaky)

    assert jobs.run(again, fresh=world.fresh) == 1


def test_a_job_that_always_fails_raises_its_error(jobs: Jobs) -> None:
    def broken() -> None:
        raise OSError("away")

    @job("broken")
    def failing(j: Job) -> None:
        j.step("broken", broken)

    with pytest.raises(OSError, match="away"):
        jobs.run(failing)


def test_a_step_that_runs_at_most_once(jobs: Jobs) -> None:
    def pay() -> str:
        jobs.effect("paid")
        return "paid"

    @job("pay")
    def paying(j: Job) -> str:
        return j.options(effect="at-most-once").step("pay", pay)

    assert jobs.run(paying, repeats=0) == "paid"


def test_checkpoint_files(jobs: Jobs) -> None:
    def train(step: StepContext[int]) -> int:
        total = int((step.restored / "total").read_text()) if step.restored else 0
        for epoch in range(step.cursor or 0, 5):
            total += epoch
            with step.checkpoint(cursor=epoch + 1) as folder:
                (folder / "total").write_text(str(total))
            step.stop_if_asked()
        return total

    @job("train")
    def training(j: Job) -> int:
        return j.step("train", train)

    assert jobs.run(training) == 10


def test_an_async_job(jobs: Jobs, world: World) -> None:
    async def create(name: str) -> int:
        await asyncio.sleep(0)
        return world.create(name)

    @job("provision")
    async def provision(j: AsyncJob, name: str) -> list[str]:
        customer = await j.step("create", create, name)
        await j.sleep("cool-down", "1h")
        async with asyncio.TaskGroup() as group:
            desk = group.create_task(j.options(key="desk").step("ship", world.ship, "desk", customer))
            lamp = group.create_task(j.options(key="lamp").step("ship", world.ship, "lamp", customer))
        return [desk.result(), lamp.result()]

    assert jobs.run(provision, {"name": "Ann"}) == ["desk-3", "lamp-3"]


def test_batches_in_the_authors_own_database(jobs: Jobs, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/own.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE item (id INTEGER)")

    def rows(step: StepContext[int]) -> int:
        for row in range((step.cursor or 0) + 1, 4):
            with step.transaction(engine) as connection:
                connection.exec_driver_sql("INSERT INTO item VALUES (?)", (row,))
                step.save(row)
            step.stop_if_asked()
        return 3

    @job("import")
    def importing(j: Job) -> int:
        return j.step("rows", rows)

    def stored() -> list[int]:
        with engine.connect() as connection:
            return [row[0] for row in connection.exec_driver_sql("SELECT id FROM item ORDER BY id")]

    def empty() -> None:
        tables = inspect(engine).get_table_names()
        with engine.begin() as connection:
            for table in tables:
                connection.exec_driver_sql(f"DELETE FROM {table}")

    assert jobs.run(importing, fresh=empty, state=stored) == 3
    assert stored() == [1, 2, 3]


def test_a_fake_takes_its_time(jobs: Jobs) -> None:
    began = jobs.now

    def slow() -> None:
        jobs.advance("2h")

    @job("slow")
    def slowly(j: Job) -> str:
        j.step("slow", slow)
        return "in time" if jobs.now - began == timedelta(hours=2) else "late"

    assert jobs.run(slowly, interrupt="never") == "in time"
    with pytest.raises(ValueError, match="time goes on"):
        jobs.advance(timedelta(seconds=-1))


def test_a_test_with_an_event_loop_is_told_what_to_do(jobs: Jobs) -> None:
    @job("one")
    def one(j: Job) -> int:
        return 1

    async def test() -> None:
        jobs.run(one)

    with pytest.raises(EventLoopRunning, match="in a plain"):
        asyncio.run(test())


def test_a_job_that_asks_a_person_is_paused(jobs: Jobs) -> None:
    def broken() -> None:
        raise OSError("away")

    @job("asks")
    def asks(j: Job) -> None:
        j.options(retry=Retry.manual()).step("broken", broken)

    with pytest.raises(RunNotRunnable, match=r"the run is Paused \(StepFailed\)"):
        jobs.run(asks)
