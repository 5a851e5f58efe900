"""The status of a job."""

import json
from typing import Any

import pytest

from resumable.lifecycle.decide import decide
from resumable.lifecycle.decision import Condition
from resumable.lifecycle.pod import Blocked
from resumable.lifecycle.status import status_of, store_unreachable
from resumable.state.record import EndKind, RunStatus, Step, StepStatus
from tests.unit.lifecycle.builders import (
    NEW_TEMPLATE,
    NOON,
    STORE,
    after,
    attempt,
    between,
    failed,
    interrupted,
    job,
    pod,
    run,
    view,
)


def status(owner, record, *pods, now=NOON, extra=()) -> dict[str, Any]:
    decision = decide(owner, record, pods, now, store_uuid=STORE.uuid)
    return status_of(owner, record, pods, decision, now=now, store=STORE, extra=extra)


def conditions(made: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in made["conditions"]}


@pytest.mark.parametrize(
    ("owner", "record", "pods", "phase"),
    [
        (job(), None, [], "Pending"),
        (job(), between(), [], "Pending"),
        (job(), view(run(RunStatus.PENDING), attempt(begun=False)), [pod(phase="Pending")], "Starting"),
        (
            job(),
            view(run(RunStatus.PENDING), attempt(begun=False)),
            [pod(phase="Pending", blocked=Blocked("ImagePullBackOff"))],
            "ImagePullBackOff",
        ),
        (job(), view(run(), attempt()), [pod()], "Running"),
        (job(), view(run(), attempt()), [pod(deleting_since=NOON)], "Stopping"),
        (job(template=NEW_TEMPLATE), view(run(stop_requested="Rollout"), attempt()), [pod()], "Stopping"),
        (job(), between(failed(1)), [], "BackOff"),
        (job(), between(interrupted(1), status=RunStatus.INTERRUPTED), [], "Interrupted"),
        (job(suspend=True), between(status=RunStatus.SUSPENDED), [], "Suspended"),
        (job(), between(interrupted(1), status=RunStatus.SUCCEEDED), [], "Succeeded"),
        (job(), between(failed(1), status=RunStatus.FAILED), [], "Failed"),
        (job(status={"attempt": 3}), None, [], "Paused"),
        (job(template={}), None, [], "InvalidSpec"),
        (job(deleted=NOON), between(), [], "Deleting"),
    ],
)
def test_the_phase_is_one_word_for_people(owner, record, pods, phase) -> None:
    assert status(owner, record, *pods)["phase"] == phase


def test_a_running_job() -> None:
    step = Step(
        name="load", status=StepStatus.STARTED, attempt=1, progress_current=61, progress_total=100, started=NOON
    )
    made = status(job(), view(run(started=NOON), attempt(), steps=(step,), steps_done=4, steps_total=5), pod())
    assert made["active"] == 1
    assert made["attempt"] == 1
    assert made["runID"] == "5d0c7d3e"
    assert made["startTime"] == "2026-01-01T12:00:00Z"
    assert made["completionTime"] is None
    assert made["currentAttempt"]["podName"] == "import-r1"
    assert made["progress"] == {
        "currentStep": "load",
        "completedSteps": 4,
        "message": None,
        "summary": "4 done, 61%",
    }
    assert conditions(made) == {
        "Accepted": ("True", "Accepted"),
        "Running": ("True", "Running"),
        "Finished": ("False", "NotFinished"),
        "StateStoreReachable": ("True", "Reachable"),
        "StateDurable": ("True", "Durable"),
    }


@pytest.mark.parametrize(
    ("ended", "true"),
    [(RunStatus.SUCCEEDED, "Complete"), (RunStatus.FAILED, "Failed"), (RunStatus.CANCELLED, "Failed")],
)
def test_finished_is_true_for_both_ends(ended, true) -> None:
    found = conditions(status(job(), between(interrupted(1), status=ended)))
    assert (found[true][0], found["Finished"]) == ("True", ("True", str(ended)))


def test_counters_are_derived_from_the_attempts() -> None:
    record = between(interrupted(1), failed(2), interrupted(3, begun=False))
    assert status(job(), record)["counters"] == {"interruptions": 2, "failures": 1, "resumes": 1}


def test_the_wait_after_a_failure_is_told() -> None:
    made = status(job(), between(failed(1)))
    assert made["nextAttemptTime"] == "2026-01-01T12:00:10Z"
    assert conditions(made)["Running"] == ("False", "BackOff")


def test_a_wrong_spec_is_told_with_its_field() -> None:
    [accepted] = [each for each in status(job(backoffLimit=-1), None)["conditions"] if each["type"] == "Accepted"]
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert "spec.backoffLimit" in accepted["message"]


def test_input_that_does_not_fit_the_job_is_not_accepted() -> None:
    made = status(
        job(), between(failed(1), status=RunStatus.FAILED, reason="InvalidInput", message="rows: not a number")
    )
    assert (made["phase"], conditions(made)["Failed"]) == ("Failed", ("True", "InvalidInput"))
    assert conditions(made)["Accepted"] == ("False", "InvalidInput")


def test_the_callers_conditions_win() -> None:
    refused = Condition("Accepted", False, "InvalidTemplate", 'Pod "import-r1" is invalid: spec.containers[0].image')
    assert conditions(status(job(), between(), extra=[refused]))["Accepted"] == ("False", "InvalidTemplate")


def test_a_pause_by_a_budget_says_what_to_raise() -> None:
    record = between(failed(1), status=RunStatus.PAUSED, reason="BackoffLimitExceeded", message="exit code 1")
    made = status(job(backoffLimit=0, whenExhausted="Pause"), record)
    [paused] = [each for each in made["conditions"] if each["type"] == "Paused"]
    assert "Raise backoffLimit to go on" in paused["message"]


def test_a_transition_time_changes_only_with_the_status() -> None:
    first = status(job(), view(run(RunStatus.PENDING), attempt(begun=False)), pod())
    later = job(status=first)
    unchanged = status(later, view(run(RunStatus.PENDING), attempt(begun=False)), pod(), now=after(minutes=5))
    assert unchanged == first
    running = status(later, view(run(), attempt()), pod(), now=after(minutes=5))
    times = {each["type"]: each["lastTransitionTime"] for each in running["conditions"]}
    assert times["Running"] == "2026-01-01T12:05:00Z"
    assert times["Accepted"] == "2026-01-01T12:00:00Z"


def test_a_condition_that_was_true_is_not_dropped_but_false() -> None:
    suspended = status(job(suspend=True), between(status=RunStatus.SUSPENDED))
    assert conditions(suspended)["Suspended"][0] == "True"
    resumed = status(job(status=suspended), between())
    assert conditions(resumed)["Suspended"] == ("False", "NotSuspended")
    assert "Suspended" not in conditions(status(job(), between()))


def test_the_attempt_only_grows_and_what_is_known_of_a_lost_run_stays() -> None:
    made = status(job(status={"attempt": 7, "runID": "5d0c7d3e"}), between(interrupted(1)))
    assert "attempt" not in made  # a merge patch leaves it at 7
    assert "counters" not in made
    assert conditions(made)["Paused"] == ("True", "RecordWentBack")


def test_a_store_that_is_away_changes_one_condition() -> None:
    first = status(job(), view(run(), attempt()), pod())
    patch = store_unreachable(job(status=first), "connection refused", now=after(minutes=1))
    assert list(patch) == ["conditions"]
    found = conditions(patch)
    assert found["StateStoreReachable"] == ("False", "Unreachable")
    assert found["Running"] == ("True", "Running")


def test_of_many_steps_those_at_work_and_the_newest_are_listed_in_order() -> None:
    steps = tuple(
        Step(name=f"s{n}", ordinal=n, attempt=1, status=StepStatus.STARTED if n in (1, 3) else StepStatus.DONE)
        for n in range(10)
    )
    made = status(job(), view(run(), attempt(), steps=steps, steps_total=10), pod())
    assert [step["name"] for step in made["steps"]] == ["s1", "s3", "s7", "s8", "s9"]


def test_it_stays_small_however_long_the_job_is() -> None:
    words = "x" * 100_000
    steps = tuple(
        Step(name=words, key=words, status=StepStatus.FAILED, attempt=1, error=words, progress_message=words)
        for _ in range(12)
    )
    attempts = [
        attempt(n, end_kind=EndKind.FAILURE, cause="Error", message=words, pod_name="p" * 63) for n in range(1, 2000)
    ]
    record = view(
        run(RunStatus.PAUSED, attempt=1999, message=words, error=words), *attempts, steps=steps, steps_total=10_000
    )
    made = status(job(template={}, backoffLimit=5000), record)
    assert len(json.dumps(made)) < 30_000
