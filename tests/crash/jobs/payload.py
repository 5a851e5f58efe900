"""What steps share: saved with them."""

from resumable import Job, StepContext, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def add(step: StepContext[int], j: Job, numbers: list[int]) -> None:
    for at in range(step.cursor or 0, len(numbers)):
        effect(f"add/{numbers[at]}")
        j.payload[f"square of {numbers[at]}"] = numbers[at] ** 2
        step.save(at + 1)
        step.stop_if_asked()
    j.payload["added"] = len(numbers)


@job("payload")
def payload(j: Job, numbers: list[int]) -> dict[str, int]:
    j.step("add", add, j, numbers)
    j.payload["seen"] = 1
    effect("outside/steps")
    return dict(j.payload)


SUBJECT = Subject(payload, {"numbers": [2, 3]})
