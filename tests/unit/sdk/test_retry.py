"""The policy alone: no clock, no store."""

from datetime import timedelta
from typing import Any

import pytest

from resumable import Fatal, InvalidStep, Retry, UnstorableResult
from resumable.sdk.retry import AskPerson, GiveUp, PassOn, TryAgain, verdict

REFUSED = ConnectionRefusedError("refused")


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (1_000_000, 300)])
def test_the_wait_doubles_up_to_the_maximum(failures: int, seconds: int) -> None:
    assert Retry().delay(failures) == timedelta(seconds=seconds)


def test_a_factor_of_one_waits_the_same_each_time() -> None:
    assert Retry(initial="3s", factor=1).delay(50) == timedelta(seconds=3)


@pytest.mark.parametrize(("luck", "seconds"), [(0.0, 8), (0.5, 10), (1.0, 12)])
def test_jitter_is_a_share_of_the_wait_in_both_directions(luck: float, seconds: int) -> None:
    assert Retry(initial="10s", jitter=0.2).delay(1, luck=luck) == timedelta(seconds=seconds)


def test_the_first_try_counts_among_max_attempts() -> None:
    policy = Retry(max_attempts=2)
    assert verdict(policy, REFUSED, 1, luck=0.5) == TryAgain(timedelta(seconds=1))
    assert verdict(policy, REFUSED, 2) == GiveUp("it was tried 2 times")


def test_no_end_is_never_given_up() -> None:
    assert isinstance(verdict(Retry(max_attempts=None), REFUSED, 10_000), TryAgain)


def test_only_what_on_names_is_tried_again() -> None:
    policy = Retry(on=(OSError, KeyError))
    assert isinstance(verdict(policy, REFUSED, 1), TryAgain)  # a kind of OSError
    assert isinstance(verdict(policy, TimeoutError(), 1), TryAgain)  # another
    assert verdict(policy, ValueError("bad row"), 1) == GiveUp("ValueError is not tried again")


def test_give_up_on_is_stronger_than_on() -> None:
    policy = Retry(on=OSError, give_up_on=ConnectionRefusedError)
    assert isinstance(verdict(policy, OSError(), 1), TryAgain)
    assert isinstance(verdict(policy, REFUSED, 1), GiveUp)


def test_a_policy_by_hand_asks_a_person_each_time() -> None:
    assert verdict(Retry.manual(), REFUSED, 1) == AskPerson()
    assert verdict(Retry.manual(), REFUSED, 100) == AskPerson()


@pytest.mark.parametrize("policy", [None, Retry(max_attempts=9), Retry.manual()])
def test_fatal_is_final_whatever_the_policy(policy: Retry | None) -> None:
    assert isinstance(verdict(policy, Fatal("card has expired"), 1), GiveUp)


def test_without_a_policy_the_exception_passes_on() -> None:
    assert verdict(None, REFUSED, 1) == PassOn()


@pytest.mark.parametrize("error", [UnstorableResult("a set"), SystemExit(1)])
def test_a_mistake_in_the_code_and_an_exit_are_not_for_a_policy(error: BaseException) -> None:
    assert verdict(Retry(), error, 1) == PassOn()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_attempts": 0}, r"Retry\(max_attempts=\) is 1 or more, or None for no end, not 0"),
        ({"initial": 5}, r"Retry\(initial=\): 5 is not a duration"),
        ({"maximum": "5 parsecs"}, r"Retry\(maximum=\): '5 ?parsecs' is not a duration"),
        ({"hold": timedelta(seconds=-1)}, r"Retry\(hold=\) is a duration of 0 or more"),
        ({"initial": "10m"}, r"Retry\(initial='10m'\) is longer than maximum='5m': give a larger maximum="),
        ({"factor": 0.5}, r"Retry\(factor=\) is 1 or more, not 0.5"),
        ({"factor": "2"}, r"Retry\(factor=\) is 1 or more, not '2'"),
        ({"jitter": "0.1"}, r"Retry\(jitter=\) is a share from 0 to 1, not '0.1'"),
        ({"jitter": 2}, r"Retry\(jitter=\) is a share from 0 to 1, not 2"),
        ({"on": "OSError"}, r"Retry\(on=\) takes exception types, derived from Exception, not 'OSError'"),
        ({"give_up_on": (KeyboardInterrupt,)}, r"Retry\(give_up_on=\) takes exception types"),
    ],
)
def test_values_that_can_not_be_are_refused_by_name(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidStep, match=said):
        Retry(**arguments)
