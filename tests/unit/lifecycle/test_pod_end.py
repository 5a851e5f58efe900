"""What the end of a pod counts as, and why it ended."""

import pytest

from resumable.lifecycle.pod import ContainerEnd, Disruption
from resumable.lifecycle.pod_end import classify_end
from resumable.resource.spec import Completion
from resumable.state.record import EndKind, RunStatus
from tests.unit.lifecycle.builders import NOON, after, ended, evicted, run

INTERRUPTION, FAILURE, COMPLETION, REQUESTED = (
    EndKind.INTERRUPTION,
    EndKind.FAILURE,
    EndKind.COMPLETION,
    EndKind.REQUESTED,
)


@pytest.mark.parametrize(
    ("pod", "kind", "cause"),
    [
        (ended(0), FAILURE, "NoRecord"),
        (ended(1), FAILURE, "Error"),
        (ended(78), FAILURE, "Error"),
        (ended(75), INTERRUPTION, "Interrupted"),
        (ended(77), INTERRUPTION, "Fenced"),
        (ended(137), FAILURE, "Signalled"),
        (ended(139), FAILURE, "Signalled"),
        (ended(137, reason="OOMKilled"), FAILURE, "OOMKilled"),
        (ended(137, reason="ContainerStatusUnknown"), INTERRUPTION, "ContainerStatusUnknown"),
        (ended(128, reason="StartError"), FAILURE, "StartError"),
        (ended(None), INTERRUPTION, "NeverRan"),
        (ended(None, status_reason="OutOfcpu"), INTERRUPTION, "OutOfcpu"),
        (ended(None, status_reason="UnexpectedAdmissionError"), INTERRUPTION, "UnexpectedAdmissionError"),
        (ended(137, status_reason="Evicted"), INTERRUPTION, "Evicted"),
        (ended(143, status_reason="Terminated"), INTERRUPTION, "Terminated"),
        (ended(137, status_reason="DeadlineExceeded"), FAILURE, "Signalled"),
    ],
    ids=lambda value: str(value) if not hasattr(value, "phase") else "",
)
def test_without_a_record_the_pod_tells(pod, kind, cause) -> None:
    end = classify_end(pod, run(RunStatus.RUNNING))
    assert (end.kind, end.cause) == (kind, cause)


@pytest.mark.parametrize(
    "reason",
    [
        "EvictionByEvictionAPI",
        "PreemptionByScheduler",
        "DeletionByTaintManager",
        "TerminationByKubelet",
        "DeletionByPodGC",
    ],
)
@pytest.mark.parametrize("exit_code", [0, 1, 75, 137, 143, None])
def test_a_disruption_is_an_interruption_by_its_own_reason_whatever_the_exit_code(reason, exit_code) -> None:
    end = classify_end(evicted(exit_code, disruption=Disruption(reason)), run(RunStatus.RUNNING))
    assert (end.kind, end.cause) == (INTERRUPTION, reason)


def test_a_disruption_outranks_out_of_memory_because_a_node_under_pressure_kills_too() -> None:
    end = classify_end(ended(137, reason="OOMKilled", disruption=Disruption("TerminationByKubelet")), run())
    assert (end.kind, end.cause) == (INTERRUPTION, "TerminationByKubelet")


def test_a_pod_deleted_by_hand_is_an_interruption() -> None:
    end = classify_end(ended(75, deleting_since=after(seconds=-3)), run())
    assert (end.kind, end.cause) == (INTERRUPTION, "DeletedByUser")


def test_a_pod_that_is_deleted_after_it_failed_is_still_a_failure() -> None:
    end = classify_end(ended(137, reason="OOMKilled", deleting_since=after(minutes=5)), run())
    assert (end.kind, end.cause) == (FAILURE, "OOMKilled")


def test_a_node_whose_clock_is_slow_does_not_make_a_failure_of_an_eviction() -> None:
    end = classify_end(evicted(143, deleting_since=after(seconds=10)), run())
    assert (end.kind, end.cause) == (INTERRUPTION, "EvictionByEvictionAPI")


@pytest.mark.parametrize("reason", ["Rollout", "Suspended", "Cancelled", "ResourceDeleted"])
@pytest.mark.parametrize("exit_code", [1, 75, 137])
def test_a_stop_that_we_asked_for_spends_nothing(reason, exit_code) -> None:
    end = classify_end(evicted(exit_code), run(stop_requested=reason))
    assert (end.kind, end.cause) == (REQUESTED, reason)


@pytest.mark.parametrize(
    ("status", "reason", "cause"),
    [
        (RunStatus.SUCCEEDED, "", "Completed"),
        (RunStatus.FAILED, "InvalidInput", "InvalidInput"),
        (RunStatus.PAUSED, "Rewound", "Rewound"),
        (RunStatus.WAITING, "", "Waiting"),
    ],
)
@pytest.mark.parametrize("pod", [ended(0), ended(137, reason="OOMKilled"), evicted(1)])
def test_the_record_comes_first(status, reason, cause, pod) -> None:
    end = classify_end(pod, run(status, reason=reason, stop_requested="Rollout"))
    assert (end.kind, end.cause) == (COMPLETION, cause)


def test_the_record_says_nothing_of_an_older_attempt() -> None:
    end = classify_end(ended(1, number=1), run(RunStatus.SUCCEEDED, attempt=2))
    assert end.kind is FAILURE


@pytest.mark.parametrize(
    ("pod", "kind"),
    [(ended(0), COMPLETION), (evicted(0), INTERRUPTION), (ended(1), FAILURE)],
)
def test_by_exit_code_zero_completes_outside_a_disruption_only(pod, kind) -> None:
    assert classify_end(pod, run(RunStatus.PENDING), Completion.EXIT_CODE).kind is kind


def test_a_signal_is_named() -> None:
    end = classify_end(ended(end=ContainerEnd(9, "Error", signal=9, finished=NOON)), run())
    assert "SIGKILL (signal 9)" in end.message


def test_the_containers_last_words_are_kept() -> None:
    end = classify_end(ended(end=ContainerEnd(1, "Error", "ValueError: row 7", finished=NOON)), run())
    assert (end.message, end.exit_code) == ("ValueError: row 7", 1)


def test_exit_zero_without_a_record_says_what_to_do() -> None:
    assert "ExitCode" in classify_end(ended(0), run()).message
