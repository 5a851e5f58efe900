"""A step that is tried again in the same process, and one whose policy is spent and whose failure the job catches."""

from resumable import Job, Retry, StepFailed, job
from tests.crash.journal import effect, effects_so_far
from tests.crash.subject import Subject

SOON = Retry(max_attempts=6, initial="5ms", factor=1, jitter=0, on=OSError)


def fetch() -> str:
    tries = effects_so_far().count("fetch")
    effect("fetch")
    if tries < 2:
        raise OSError("no route to host")
    return "fetched"


def publish() -> None:
    effect("publish")
    raise OSError("disk full")


def report(published: bool) -> None:
    effect("report")


@job("retries")
def retries(j: Job) -> str:
    fetched = j.options(retry=SOON).step("fetch", fetch)
    try:
        j.options(retry=Retry(max_attempts=2, initial="5ms", jitter=0)).step("publish", publish)
    except StepFailed:
        j.step("report", report, False)
        return f"{fetched}, not published"
    return fetched


SUBJECT = Subject(retries)
