"""Lost state never means "start again"."""

import pytest

from resumable.state.record import RunStatus
from tests.unit.lifecycle.builders import STORE, attempt, between, decided, ended, interrupted, job, pod, run, view


@pytest.mark.parametrize(
    ("seen", "record", "pods", "reason"),
    [
        ({"attempt": 2}, None, [], "RecordMissing"),
        ({}, None, [pod(1)], "RecordMissing"),
        ({}, None, [ended(75)], "RecordMissing"),
        ({"attempt": 2}, between(interrupted(1)), [], "RecordWentBack"),
        ({}, view(run(attempt=1), attempt(1)), [pod(1), pod(2)], "RecordWentBack"),
        ({"attempt": 1, "storeUUID": "store-0"}, between(interrupted(1)), [], "OtherStore"),
        ({"attempt": 1, "storeUUID": "store-0"}, None, [], "OtherStore"),
    ],
)
def test_nothing_is_started_stopped_or_counted(seen, record, pods, reason) -> None:
    decision = decided(job(status=seen), record, *pods)
    assert decision.actions == ()
    [condition] = decision.conditions
    assert (condition.type, condition.status, condition.reason) == ("Paused", True, reason)


def test_it_is_told_once() -> None:
    assert [each.reason for each in decided(job(status={"attempt": 2}), None).notices] == ["RecordMissing"]
    told = {"type": "Paused", "status": "True", "reason": "RecordMissing", "message": "", "lastTransitionTime": ""}
    assert decided(job(status={"attempt": 2, "conditions": [told]}), None).notices == ()


def test_the_message_says_how_to_accept_the_older_state() -> None:
    [condition] = decided(job(status={"attempt": 2}), between(interrupted(1))).conditions
    patch = '--subresource=status --type=merge -p \'{"status":{"attempt":1}}\''
    assert f"kubectl patch rj import -n shop {patch}" in condition.message


@pytest.mark.parametrize(
    "seen", [{}, {"attempt": 0}, {"attempt": 1}, {"attempt": 1, "storeUUID": STORE.uuid, "runID": "5d0c7d3e"}]
)
def test_a_status_that_is_behind_is_no_loss(seen) -> None:
    record = between(interrupted(1), status=RunStatus.INTERRUPTED)
    assert decided(job(status=seen), record).conditions == ()


def test_a_deleted_job_goes_all_the_same() -> None:
    gone = job(status={"attempt": 2}, deleted=between().now)
    assert decided(gone, None).actions != ()
