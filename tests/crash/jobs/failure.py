"""A step that fails the first two times: the exception leaves the job, and the next attempt tries again."""

from resumable import Job, job
from tests.crash.journal import effect, effects_so_far
from tests.crash.subject import Subject


def fetch() -> str:
    tries = len([done for done in effects_so_far() if done.startswith("fetch")])
    effect(f"fetch/{min(tries, 2)}")  # a killed last try comes again
    if tries < 2:
        raise OSError("no route to host")
    return "fetched"


def prepare() -> None:
    effect("prepare")


@job("failure")
def failure(j: Job) -> str:
    j.step("prepare", prepare)
    return j.step("fetch", fetch)


SUBJECT = Subject(failure)
