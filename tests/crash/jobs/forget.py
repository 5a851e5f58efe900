"""A step that is forgotten and runs again."""

from resumable import Job, job
from tests.crash.journal import effect, effects_so_far
from tests.crash.subject import Subject


def log_in() -> str:
    tries = effects_so_far().count("log-in/0")
    effect("log-in/1" if tries else "log-in/0")
    return "fresh" if tries else "expired"


def fetch(token: str) -> str:
    effect("fetch")
    return f"fetched with a {token} token"


@job("forget")
def forget(j: Job) -> str:
    token = j.step("log-in", log_in)
    if token == "expired":
        j.forget("log-in")
        token = j.step("log-in", log_in)
    return j.step("fetch", fetch, token)


SUBJECT = Subject(forget)
