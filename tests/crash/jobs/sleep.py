"""A sleep that ends the process; the next one starts when the time is up."""

from resumable import Job, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def heat() -> None:
    effect("heat")


def serve() -> None:
    effect("serve")


@job("sleep")
def sleep(j: Job) -> str:
    j.step("heat", heat)
    j.sleep("cool-down", "100ms", hold="0s")
    j.step("serve", serve)
    return "served"


SUBJECT = Subject(sleep, by_the_clock=True)
