"""An async job for several scenes: `--set scene=NAME` says which."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

from effects import effect

from resumable import AsyncJob, AsyncStepContext, StepContext, job


async def read_rows(after: int, until: int) -> AsyncIterator[int]:
    for row in range(after, until):
        await asyncio.sleep(0.002)
        yield row


async def import_rows(step: AsyncStepContext[int]) -> int:
    async for row in step.iterate(read_rows(step.cursor or 0, 100), cursor=lambda row: row + 1, every=(10, "50ms")):
        effect(f"row {row}")
    return 100


def count_in_thread(step: StepContext[int]) -> int:
    for number in step.iterate(range(step.cursor or 0, 100), cursor=lambda number: number + 1, every=(10, "50ms")):
        effect(f"number {number}")
        time.sleep(0.002)
    return 100


async def fetch(number: int) -> int:
    await asyncio.sleep(0.02)
    effect(f"fetched {number}")
    return number


async def wait_for_go() -> None:
    effect("waits")
    try:
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
    finally:
        effect("finally")


def block_the_loop() -> None:
    effect("blocked")
    time.sleep(600)


async def block() -> None:
    block_the_loop()


async def wait_for_approval(j: AsyncJob) -> str:
    received = await j.wait("approval", str, hold="1h")
    return received.payload


@job("async-scenes")
async def scenes(j: AsyncJob, scene: str) -> int:
    match scene:
        case "three":
            async with asyncio.TaskGroup() as group:
                rows = group.create_task(j.step("rows", import_rows))
                numbers = group.create_task(j.step("numbers", count_in_thread))
                fetched = group.create_task(j.map("fetch", fetch, range(30), concurrency=2))
            return rows.result() + numbers.result() + sum(fetched.result())
        case "wait":
            await j.step("wait", wait_for_go)
        case "block":
            await j.step("block", block)
        case "approval":
            print(await wait_for_approval(j), flush=True)
        case _:
            raise ValueError(scene)
    return 0


if __name__ == "__main__":
    scenes.main()
