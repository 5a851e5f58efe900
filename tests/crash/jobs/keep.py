"""Results that are kept until the run has succeeded."""

from resumable import Job, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def load(part: int) -> list[int]:
    effect(f"load[{part}]")
    return [part] * 10


def total(parts: list[list[int]]) -> int:
    effect("total")
    return sum(map(sum, parts))


@job("keep")
def keep(j: Job) -> int:
    return j.step("total", total, [j.options(key=n, keep="until-done").step("load", load, n) for n in (1, 2)])


SUBJECT = Subject(keep)
