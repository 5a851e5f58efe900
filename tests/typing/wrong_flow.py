"""`map`, the payload and waits: code that mypy strict must refuse: each marked line, and no other."""

from typing import TypedDict

from resumable import Job, StepContext, job


class Progress(TypedDict, total=False):
    customer: int


def double(n: int) -> int:
    return 2 * n


def with_context(step: StepContext[int], n: int) -> int:
    return 2 * n


@job("wrong-map")
def wrong_map(j: Job, names: list[str]) -> None:
    j.map("wrong-type", double, names)  # wrong
    j.map("wrong-type", with_context, names)  # wrong
    j.map("no-items", double)  # wrong
    j.map("wrong-key", double, [1], key=lambda n: n.id)  # wrong
    j.map("wrong-option", double, [1], concurency=3)  # wrong
    first: str = j.map("wrong-result", double, [1])[0]  # wrong
    tolerated: int = j.map("tolerated", double, [1], tolerate=1)[0]  # wrong
    progress = j.payload.typed(Progress)
    progress["customer"] = first  # wrong
    progress["custmer"] = tolerated  # wrong


@job("wrong-waits", keep=30)  # wrong
def wrong_waits(j: Job) -> None:
    takes_text(j.wait("number", int).payload)  # wrong
    j.wait("number", 5)  # wrong
    j.wait("number", int, timeuot="5s")  # wrong
    j.sleep("nap", 5)  # wrong
    j.sleep_until("midnight", "tomorrow")  # wrong
    j.options(keep=5).step("s", int)  # wrong
    j.options(on_expired="stop").step("s", int)  # wrong
    j.forget(5)  # wrong
    takes_text(j.result("log-in", int))  # wrong
    j.result(5)  # wrong
    j.replaying = True  # wrong


@job("wrong-policy", on_version_mismatch="stop")  # wrong
def wrong_policy(j: Job) -> None: ...


def takes_text(text: str) -> None: ...
