"""Needs more memory than its pod may have, until its third attempt."""

import os

from effects import log_effect

from resumable import Job, job


def prepare() -> None:
    log_effect("prepare")


def load(megabytes: int) -> int:
    log_effect("load")
    if int(os.environ["RESUMABLE_ATTEMPT"]) < 3:
        hoard = [os.urandom(1 << 20) for _ in range(megabytes)]
        log_effect("survived", megabytes=len(hoard))
    return megabytes


@job("memory-hog", version="1")
def run(j: Job, megabytes: int) -> None:
    j.step("prepare", prepare)
    j.step("load", load, megabytes)


if __name__ == "__main__":
    run.main()
