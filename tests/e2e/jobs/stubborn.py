"""Saves how far it got, and then, in its first attempt, reaches no safe point any more."""

import os
import time

from effects import log_effect

from resumable import Job, StepContext, job


def work(step: StepContext[int], saved: int) -> int:
    for number in range((step.cursor or 0) + 1, saved + 1):
        log_effect("work", number=number)
        step.save(number)
    if os.environ["RESUMABLE_ATTEMPT"] == "1":
        log_effect("stuck")
        time.sleep(3600)
    return saved


@job("stubborn", version="1")
def run(j: Job, saved: int) -> None:
    j.step("work", work, saved)


if __name__ == "__main__":
    run.main()
