from datetime import timedelta
from pathlib import Path

import pytest

from resumable.sdk.environment import InvalidEnvironment, WorkerEnvironment
from resumable.state.record import Fence

MINIMAL = {
    "RESUMABLE_STORE_URL": "http://state:8080",
    "RESUMABLE_RUN": "r",
    "RESUMABLE_ATTEMPT": "3",
    "RESUMABLE_NONCE": "abc",
}


def test_a_process_that_no_operator_started_has_none() -> None:
    assert WorkerEnvironment.read({"RESUMABLE_GRACE_SECONDS": "5"}) is None


def test_what_is_not_set_has_its_default() -> None:
    assert WorkerEnvironment.read(MINIMAL) == WorkerEnvironment(
        store_url="http://state:8080",
        fence=Fence("r", 3, "abc"),
        grace=timedelta(seconds=30),
        store_timeout=timedelta(minutes=15),
    )


def test_what_one_side_sets_the_other_reads() -> None:
    environment = WorkerEnvironment(
        store_url="sqlite:////x.db",
        fence=Fence("r", 1, "n"),
        grace=timedelta(seconds=1.5),
        store_timeout=timedelta(seconds=60),
        token_file=Path("/token"),
        checkpoint_dir=Path("/checkpoints"),
        pod_uid="u",
    )
    assert WorkerEnvironment.read(environment.variables()) == environment


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("RESUMABLE_NONCE", "", "RESUMABLE_RUN is set but RESUMABLE_NONCE is not"),
        ("RESUMABLE_ATTEMPT", "x", "RESUMABLE_ATTEMPT is 'x'; it must be a number, 1 or more"),
        ("RESUMABLE_ATTEMPT", "0", "1 or more"),
        ("RESUMABLE_GRACE_SECONDS", "5s", "RESUMABLE_GRACE_SECONDS is '5s'; it must be a number of seconds"),
        ("RESUMABLE_GRACE_SECONDS", "-1", "0 or more"),
        ("RESUMABLE_GRACE_SECONDS", "nan", "0 or more"),
        ("RESUMABLE_STORE_TIMEOUT_SECONDS", "inf", "RESUMABLE_STORE_TIMEOUT_SECONDS is 'inf'"),
    ],
)
def test_what_is_malformed_is_named(name: str, value: str, sentence: str) -> None:
    with pytest.raises(InvalidEnvironment, match=sentence):
        WorkerEnvironment.read(MINIMAL | {name: value})
