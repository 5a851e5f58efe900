"""A step that publishes a folder of files with its cursor. Its result is made of what the files say."""

import json

from resumable import Job, StepContext, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def train(step: StepContext[int], epochs: int) -> list[int]:
    weights: list[int] = []
    if step.restored:
        weights = json.loads((step.restored / "weights.json").read_text())
    for epoch in range(step.cursor or 0, epochs):
        effect(f"train/{epoch}")
        weights.append(epoch * epoch)
        with step.checkpoint(cursor=epoch + 1) as folder:
            (folder / "weights.json").write_text(json.dumps(weights))
        step.stop_if_asked()
    return weights


@job("checkpoint")
def checkpoint(j: Job, epochs: int) -> list[int]:
    return j.step("train", train, epochs)


SUBJECT = Subject(checkpoint, {"epochs": 3}, checkpoints=True)
