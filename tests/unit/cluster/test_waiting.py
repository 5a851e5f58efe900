"""Waiting ends with an answer, or with a message that says how things were."""

from __future__ import annotations

import pytest

from tests.cluster import CommandFailed, WaitTimeout, wait_for


def test_the_first_answer_is_returned() -> None:
    answers = iter([None, False, "ready"])
    assert wait_for(lambda: next(answers), 5, "It was not ready") == "ready"


def test_zero_and_nothing_in_a_list_are_answers() -> None:
    assert wait_for(lambda: 0, 5, "There was no number") == 0
    assert wait_for(lambda: list[str](), 5, "There was no list") == []


def test_a_failing_command_means_not_yet() -> None:
    answers: list[CommandFailed | str] = ["pod", CommandFailed(["kubectl", "get", "pod"], 1, "", "refused")]

    def ask() -> str:
        answer = answers.pop()
        if isinstance(answer, CommandFailed):
            raise answer
        return answer

    assert wait_for(ask, 5, "There was no pod") == "pod"


def test_any_other_error_ends_the_wait() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 // 0, 5, "It was not computed")


def test_the_message_tells_the_last_state() -> None:
    with pytest.raises(WaitTimeout, match=r"^The pod did not start within 0 s\. Last state: Pending$"):
        wait_for(lambda: None, 0, "The pod did not start.", state=lambda: "Pending")


def test_the_message_tells_what_the_last_command_complained_of() -> None:
    def ask() -> None:
        raise CommandFailed(["kubectl", "get", "pod"], 1, "", "connection refused")

    with pytest.raises(WaitTimeout, match="connection refused"):
        wait_for(ask, 0, "There was no pod")
