"""A wait that ends the process; a signal starts the next one. Consuming it commits with the wait's result."""

from dataclasses import dataclass

from resumable import Job, WaitTimeout, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


@dataclass
class Approval:
    granted: bool


def ask() -> None:
    effect("ask")


def pay(granted: bool) -> None:
    effect("pay")


@job("wait")
def wait(j: Job) -> str:
    j.step("ask", ask)
    answer = j.wait("approval", Approval, hold="0s")
    j.step("pay", pay, answer.payload.granted)
    try:
        j.wait("objection", timeout="100ms", hold="0s")
    except WaitTimeout:
        return f"paid, approved by {answer.sender}"
    return "objected"


SUBJECT = Subject(wait, signals={"approval": {"granted": True}}, by_the_clock=True)
