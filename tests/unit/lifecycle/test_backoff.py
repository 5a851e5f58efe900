"""How long to wait after a failure."""

from datetime import timedelta

import pytest

from resumable.lifecycle.backoff import Backoff, next_attempt_at
from tests.unit.lifecycle.builders import NOON


@pytest.mark.parametrize(("failures", "seconds"), [(1, 10), (2, 20), (3, 40), (7, 600), (1_000_000, 600)])
def test_doubles_up_to_the_maximum(failures: int, seconds: int) -> None:
    assert Backoff().delay(failures) == timedelta(seconds=seconds)


def test_an_interruption_is_retried_at_once() -> None:
    assert next_attempt_at(Backoff(), failures=0, last_failure=None) is None


def test_counts_from_the_end_of_the_failed_attempt() -> None:
    assert next_attempt_at(Backoff(), failures=1, last_failure=NOON) == NOON + timedelta(seconds=10)
