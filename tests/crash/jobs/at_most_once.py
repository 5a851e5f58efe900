"""A step that must not run twice: its start is on record before it runs, and a start without an end is skipped."""

from resumable import Job, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def charge() -> None:
    effect("charge")


def receipt() -> None:
    effect("receipt")


@job("at-most-once")
def at_most_once(j: Job) -> str:
    j.options(effect="at-most-once", on_unknown="skip").step("charge", charge)
    j.step("receipt", receipt)
    return "charged"


SUBJECT = Subject(at_most_once, at_most_once=frozenset({"charge"}))
