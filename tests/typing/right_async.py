"""Async jobs: code that mypy strict must accept, with the types that it must infer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_type

from sqlalchemy import Connection, Engine

from resumable import AsyncJob, AsyncStepContext, Job, JobDefinition, Received, StepContext, StepFailed, job


async def create(name: str, *, vip: bool = False) -> int:
    return 1


def plain(name: str) -> bytes:
    return b""


async def read() -> AsyncIterator[str]:
    yield ""


async def import_rows(step: AsyncStepContext[int], path: Path, limit: int = 10) -> list[str]:
    assert_type(step.cursor, int | None)
    assert_type(await step.restored(), Path | None)
    async for row in step.iterate(read(), cursor=len, every=(500, "5s")):
        assert_type(row, str)
    async for number in step.iterate([1, 2], cursor=lambda n: n):
        assert_type(number, int)
    async with step.checkpoint(cursor=3) as folder:
        assert_type(folder, Path)
    with step.shield(timedelta(seconds=1)):
        await step.save(3)
    await step.stop_if_asked()
    return []


def plain_rows(step: StepContext[str], path: Path) -> float:
    return 1.0


async def item(step: AsyncStepContext[int], name: str) -> bytes:
    return b""


def debit(connection: Connection, amount: int) -> int:
    return amount


@job("right", version="1")
async def right(j: AsyncJob, customer: str, engine: Engine, count: int = 1) -> float:
    assert_type(await j.step("create", create, customer), int)
    assert_type(await j.step("create-vip", create, customer, vip=True), int)
    assert_type(await j.step("plain", plain, customer), bytes)
    assert_type(await j.step("import", import_rows, Path("x")), list[str])
    assert_type(await j.step("import-more", import_rows, Path("x"), limit=5), list[str])
    assert_type(await j.step("plain-import", plain_rows, Path("x")), float)
    assert_type(await j.options(key=count).step("import", import_rows, Path("x"), 5), list[str])
    assert_type(await j.step("lambda", lambda: 3), int)
    assert_type(await j.step("async-lambda", lambda: create("a")), int)
    assert_type(await j.step("built-in", sorted, [1, 2]), list[int])
    one, two = await asyncio.gather(j.step("one", create, "a"), j.step("two", plain, "b"))
    assert_type(one, int)
    assert_type(two, bytes)
    assert_type(await asyncio.gather(*(j.options(key=k).step("all", create, k) for k in "ab")), list[int])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(j.step("three", create, "a"))
    assert_type(task.result(), int)
    assert_type(await j.map("map", create, ["a"]), list[int])
    assert_type(await j.map("map-plain", plain, ["a"], concurrency=8), list[bytes])
    assert_type(await j.map("map-context", item, ["a"], tolerate=1), list[bytes | StepFailed])
    assert_type(await j.wait("approval", bool, timeout="3d"), Received[bool])
    assert_type((await j.wait("anything")).payload, Any)
    await j.sleep("cool-down", "1h")
    assert_type(await j.transaction("debit", engine, debit, 5), int)
    j.on_failure(create, "a")
    await j.forget("create")
    return 1.0


@job("plain")
def plain_job(j: Job) -> int:
    return 1


assert_type(right.run({"customer": "Ann"}, id="x"), float)
assert_type(right.start({"customer": "Ann"}).result(timeout=1), float)


async def main() -> None:
    assert_type(await right.arun({"customer": "Ann"}), float)
    assert_type(await plain_job.arun(), int)


def takes_definition(definition: JobDefinition[..., float]) -> None: ...


takes_definition(right)
