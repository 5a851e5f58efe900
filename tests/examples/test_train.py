"""examples/train, killed at ten random moments, against an undisturbed run."""

import random
from pathlib import Path

import joblib

from tests.examples.killing import KILLS, SEED, Example

EPOCHS = 5


def test_killed_at_ten_random_moments_the_weights_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    print(f"TEST_SEED={SEED}")
    undisturbed = Example("train/train.py", tmp_path / "undisturbed", epochs=EPOCHS)
    expected = undisturbed.run()
    assert expected["accuracy"] > 0.9

    killed = Example("train/train.py", tmp_path / "killed", epochs=EPOCHS, checkpoint_every=3, seconds_per_batch=0.05)
    moments = random.Random(SEED)
    for _ in range(KILLS):
        killed.kill_at_a_random_moment(moments)

    assert killed.run() == expected
    assert weights(killed, expected["model"]) == weights(undisturbed, expected["model"])
    finished = [effect["epoch"] for effect in killed.effects("epoch-finished")]
    assert sorted(set(finished)) == list(range(1, EPOCHS + 1))


def test_a_finished_epoch_is_not_trained_again(tmp_path: Path) -> None:
    print(f"TEST_SEED={SEED}")
    killed = Example("train/train.py", tmp_path / "killed", epochs=3, checkpoint_every=3, seconds_per_batch=0.02)
    moments = random.Random(SEED + 1)
    for _ in range(KILLS // 3):
        killed.kill_at_a_random_moment(moments)
    killed.run()
    epochs = [effect["epoch"] for effect in killed.effects("fit")]
    assert epochs == sorted(epochs)
    batches = len({(effect["epoch"], effect["batch"]) for effect in killed.effects("fit")})
    assert len(epochs) - batches <= 3 * (KILLS // 3), "at most what was done since the last checkpoint, for each kill"


def weights(example: Example, model: str) -> bytes:
    loaded = joblib.load(example.volume / "models" / model)
    return bytes(loaded.coef_.tobytes() + loaded.intercept_.tobytes())
