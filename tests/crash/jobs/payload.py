"""What steps share: saved in the same write as what the step did to it, so that adding up is safe."""

from resumable import Job, StepContext, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def add(step: StepContext[int], j: Job, numbers: list[int]) -> None:
    for at in range(step.cursor or 0, len(numbers)):
        effect(f"add/{numbers[at]}")
        j.payload["sum"] = j.payload.get("sum", 0) + numbers[at]
        step.save(at + 1)
        step.stop_if_asked()
    j.payload["lists"] = j.payload.get("lists", 0) + 1


def double(j: Job) -> None:
    effect("double")
    j.payload["sum"] *= 2


@job("payload")
def payload(j: Job, numbers: list[int]) -> dict[str, int]:
    j.step("add", add, j, numbers)
    j.step("double", double, j)
    j.payload["seen"] = 1
    effect("outside/steps")
    return dict(j.payload)


SUBJECT = Subject(payload, {"numbers": [2, 3]})
