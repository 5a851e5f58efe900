"""A finished run whose record was removed when its time was over."""

import pytest

from resumable.lifecycle.decision import CreateRun
from resumable.lifecycle.status import status_of
from resumable.state.record import RunStatus
from tests.unit.lifecycle.builders import NOON, STORE, after, between, decided, interrupted, job

ENDS = [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED]


def finished(end: RunStatus, **spec: object):
    """A job whose status says how it ended, as it was written then."""
    record = between(interrupted(1), status=end, finished=NOON, message="it is so", restart_id="monday")
    status = status_of(job(), record, [], decided(job(), record), now=NOON, store=STORE)
    return job(status={name: value for name, value in status.items() if value is not None}, **spec), status


@pytest.mark.parametrize("end", ENDS)
def test_it_is_not_started_again_and_its_status_stays_as_it_was(end) -> None:
    over, status = finished(end)
    decision = decided(over, None, now=after(days=30))
    assert (decision.actions, decision.notices) == ((), ())
    assert decision.conditions == ()
    later = status_of(over, None, [], decision, now=after(days=30), store=STORE)
    assert later["conditions"] == status["conditions"]
    assert later["phase"] == end
    assert {name: value for name, value in later.items() if status[name] != value} == {}


def test_a_restart_that_was_carried_out_in_time_is_no_matter() -> None:
    over, _ = finished(RunStatus.SUCCEEDED, restart={"requestID": "monday"})
    assert decided(over, None).conditions == ()


def test_a_restart_comes_too_late_and_is_told_so() -> None:
    over, _ = finished(RunStatus.SUCCEEDED, restart={"requestID": "tuesday"})
    decision = decided(over, None)
    assert decision.actions == ()
    [condition] = decision.conditions
    assert (condition.type, condition.status, condition.reason) == ("Accepted", False, "RecordExpired")
    assert [notice.reason for notice in decision.notices] == ["RecordExpired"]


def test_one_that_was_not_finished_is_lost() -> None:
    record = between(interrupted(1), status=RunStatus.INTERRUPTED)
    status = status_of(job(), record, [], decided(job(), record), now=NOON, store=STORE)
    seen = job(status={name: value for name, value in status.items() if value is not None})
    decision = decided(seen, None)
    assert not [each for each in decision.actions if isinstance(each, CreateRun)]
    assert [each.reason for each in decision.conditions] == ["RecordMissing"]
