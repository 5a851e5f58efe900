"""Train a classifier epoch by epoch; killed at any moment it goes on, and ends with the same weights, bit for bit.

Each epoch is a step: a finished one is never trained again. Inside an epoch the model is saved every few batches with
`step.checkpoint`, so that a killed worker loses at most those few. What makes the weights identical:

* the order of an epoch's rows is derived from the seed and the epoch's number, not from a generator whose state a kill
  would lose;
* a checkpoint holds the whole model (weights, intercepts and the step counter of the learning rate), and counts as
  saved only together with the number of the next batch.

A finished epoch hands its model on as a file on the volume, named by its content: no other can overwrite it.
"""

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from sklearn.linear_model import SGDClassifier  # type: ignore[import-untyped]

from resumable import Job, StepContext, job


@dataclass(frozen=True)
class Plan:
    """What is trained, and how fast; the pace is for those who want to watch it, or to interrupt it."""

    batch_size: int
    checkpoint_every: int  # batches
    seconds_per_batch: float
    seed: int


@dataclass(frozen=True)
class Epoch:
    """What a finished epoch leaves behind."""

    accuracy: float
    weights_sha256: str
    model: str  # the file's name in the models folder


@dataclass(frozen=True)
class Result:
    """The job's result."""

    accuracy: float
    weights_sha256: str
    model: str


@job("train", version="1")
def train(
    j: Job,
    epochs: int = 5,
    batch_size: int = 64,
    checkpoint_every: int = 4,
    seconds_per_batch: float = 0.0,
    seed: int = 1,
) -> Result:
    """Train for `epochs` epochs on the digits data set that scikit-learn ships."""
    if epochs < 1 or batch_size < 1 or checkpoint_every < 1:
        raise ValueError("epochs, batch_size and checkpoint_every have to be at least 1")
    plan = Plan(batch_size, checkpoint_every, seconds_per_batch, seed)
    newest: Epoch | None = None
    for number in range(1, epochs + 1):
        newest = j.options(key=str(number)).step("train-epoch", train_epoch, number, newest, plan)
    assert newest is not None
    return Result(newest.accuracy, newest.weights_sha256, newest.model)


def train_epoch(step: StepContext[int], epoch: int, previous: Epoch | None, plan: Plan) -> Epoch:
    """One pass over the training rows, from the batch that the checkpoint names."""
    digits = Digits(plan.seed)
    batches = digits.batches(epoch, plan)
    if step.restored is not None:
        model = joblib.load(step.restored / "model.joblib")
    elif previous is not None:
        model = load_model(previous)
    else:
        model = SGDClassifier(loss="log_loss", random_state=plan.seed)

    for n in range(step.cursor or 0, len(batches)):
        features, labels = digits.training_rows(batches[n])
        log_effect("fit", epoch=epoch, batch=n)
        model.partial_fit(features, labels, classes=digits.classes)
        time.sleep(plan.seconds_per_batch)
        step.progress(n + 1, len(batches))
        if (n + 1) % plan.checkpoint_every == 0 or step.stopping:
            with step.checkpoint(cursor=n + 1) as folder:
                joblib.dump(model, folder / "model.joblib")
            step.stop_if_asked()

    finished = Epoch(digits.accuracy(model), weights_sha256(model), save_model(model))
    log_effect("epoch-finished", epoch=epoch)
    return finished


class Digits:
    """The data set, split once and for all by the seed: four fifths to train on, the rest to judge."""

    def __init__(self, seed: int) -> None:
        features, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(labels))
        self._features, self._labels = features[order] / 16.0, labels[order]
        self._training = len(labels) * 4 // 5
        self._seed = seed
        self.classes = np.unique(labels)

    def batches(self, epoch: int, plan: Plan) -> list[Any]:
        """The row numbers of each batch: shuffled anew in each epoch, and always the same for the same epoch."""
        order = np.random.default_rng([self._seed, epoch]).permutation(self._training)
        return [order[start : start + plan.batch_size] for start in range(0, self._training, plan.batch_size)]

    def training_rows(self, batch: Any) -> tuple[Any, Any]:
        """Features and labels of a batch."""
        return self._features[batch], self._labels[batch]

    def accuracy(self, model: Any) -> float:
        """The share of the held-out rows that the model gets right."""
        return float(model.score(self._features[self._training :], self._labels[self._training :]))


def weights_sha256(model: Any) -> str:
    """A digest of the weights' bytes: equal only when every bit is."""
    return hashlib.sha256(model.coef_.tobytes() + model.intercept_.tobytes()).hexdigest()


def models_folder() -> Path:
    """A folder that outlives the pod: on the checkpoint volume."""
    folder = Path(os.environ.get("RESUMABLE_CHECKPOINT_DIR", ".resumable")) / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_model(model: Any) -> str:
    """Write the model under its digest's name; whole or not at all."""
    name = f"{weights_sha256(model)}.joblib"
    temporary = models_folder() / f".{name}.{os.getpid()}"
    joblib.dump(model, temporary)
    temporary.replace(models_folder() / name)
    return name


def load_model(epoch: Epoch) -> Any:
    """Read what an earlier epoch left behind, and check that it is that."""
    model = joblib.load(models_folder() / epoch.model)
    if weights_sha256(model) != epoch.weights_sha256:
        raise ValueError(f"{models_folder() / epoch.model} does not hold the weights {epoch.weights_sha256}")
    return model


def log_effect(effect: str, **details: object) -> None:
    """Append a line to the file `EFFECT_LOG`, when it is set: what really ran, whatever our own records say."""
    if path := os.environ.get("EFFECT_LOG"):
        attempt = int(os.environ.get("RESUMABLE_ATTEMPT", "0"))
        line = json.dumps({"effect": effect, "attempt": attempt, "pid": os.getpid(), **details}) + "\n"
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(log, line.encode())
        finally:
            os.close(log)


if __name__ == "__main__":
    train.main()
