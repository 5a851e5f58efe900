"""An `async def` job: steps at the same time, one that saves its cursor, a plain one in a thread."""

import asyncio

from resumable import AsyncJob, AsyncStepContext, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


async def fetch(url: str) -> str:
    effect(f"fetch[{url}]")
    await asyncio.sleep(0)
    return url.upper()


async def index(step: AsyncStepContext[int], pages: list[str]) -> int:
    for at in range(step.cursor or 0, len(pages)):
        effect(f"index/{pages[at]}")
        await step.save(at + 1)
        await step.stop_if_asked()
    return len(pages)


def publish(pages: int) -> str:
    effect("publish")
    return f"{pages} pages"


@job("async")
async def async_job(j: AsyncJob, urls: list[str]) -> str:
    pages = await asyncio.gather(*(j.options(key=url).step("fetch", fetch, url) for url in urls))
    return await j.step("publish", publish, await j.step("index", index, list(pages)))


SUBJECT = Subject(async_job, {"urls": ["a", "b", "c"]}, by_the_clock=True)  # its writes are under way together
