"""Async jobs: code that mypy strict must refuse: each marked line, and no other."""

from resumable import AsyncJob, AsyncStepContext, job


async def create(name: str, *, vip: bool = False) -> int:
    return 1


async def import_rows(step: AsyncStepContext[int], path: str) -> list[str]:
    await step.save("a")  # wrong
    step.save(1)  # wrong
    for row in step.iterate(["a"], cursor=len):  # wrong
        print(row)
    step.stop_if_asked()  # wrong
    with step.checkpoint():  # wrong
        pass
    return []


def takes_text(text: str) -> None: ...


@job("wrong")
async def wrong(j: AsyncJob) -> None:
    await j.step("no-argument", create)  # wrong
    await j.step("wrong-type", create, 5)  # wrong
    await j.step("too-many", create, "a", "b")  # wrong
    await j.step("wrong-keyword", create, "a", vpi=True)  # wrong
    await j.step("no-argument", import_rows)  # wrong
    await j.step("wrong-type", import_rows, 5)  # wrong
    await j.options(key="a").step("wrong-type", import_rows, 5)  # wrong
    await j.step("called", create("a"))  # wrong
    j.step("not-awaited", create, "a")  # wrong
    takes_text(await j.step("result", create, "a"))  # wrong
    takes_text(j.step("not-awaited-result", takes_text, "a"))  # wrong
    j.sleep("not-awaited", "1h")  # wrong
    await j.map("wrong-items", create, [1])  # wrong
    j.forget("not-awaited")  # wrong


@job("no-job")  # wrong
async def no_job(name: str) -> None: ...
