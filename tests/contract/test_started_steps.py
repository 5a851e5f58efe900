"""A step whose start is on record before it runs: an effect that must not happen twice, a wait, a sleep."""

from datetime import UTC, datetime, timedelta

import pytest

from resumable.state.outcome import AlreadyDone, Rewound, Started, Stored, StoreRefused
from resumable.state.record import StepStatus, Write, WriteRef
from tests.contract.runs import Worker, encoded, resumed, step_of

AN_HOUR = 3_600_000


def test_a_start_is_on_record_before_the_step_runs(worker: Worker) -> None:
    started = worker.start("charge", key="a", ordinal=4, effect="at-most-once")
    assert isinstance(started, Started)
    assert started.deadline is None
    step = step_of(worker, "charge", "a")
    assert (step.status, step.ordinal, step.effect, step.tries) == (StepStatus.STARTED, 4, "at-most-once", 1)
    assert step.started is not None
    assert worker.store.info().now - started.now < timedelta(seconds=30)


def test_the_first_start_fixes_the_deadline_by_the_stores_clock(worker: Worker) -> None:
    first = worker.start("approval", deadline_after_ms=AN_HOUR)
    assert first.deadline is not None
    assert abs(first.deadline - first.now - timedelta(hours=1)) < timedelta(seconds=20)
    again = resumed(worker).start("approval", deadline_after_ms=5)
    assert again.deadline == first.deadline
    assert step_of(worker, "approval").deadline == first.deadline


def test_a_deadline_may_be_a_moment(worker: Worker) -> None:
    moment = datetime(2031, 5, 1, 12, 30, 0, 123_000, tzinfo=UTC)
    assert worker.start("until", deadline=moment).deadline == moment
    assert resumed(worker).start("until").deadline == moment


def test_a_start_sent_again_gets_the_same_answer(worker: Worker) -> None:
    write = worker.write()
    first = worker.start("approval", write=write, deadline_after_ms=AN_HOUR)
    again = worker.start("approval", write=write, deadline_after_ms=AN_HOUR)
    assert isinstance(again, Started)
    assert again.deadline == first.deadline
    assert step_of(worker, "approval").tries == 1


def test_a_wait_that_goes_on_in_the_next_attempt_is_one_try(worker: Worker) -> None:
    worker.start("approval", deadline_after_ms=AN_HOUR)
    began = step_of(worker, "approval").started
    second = resumed(worker)
    second.start("approval", ordinal=3)
    second.show("approval", ordinal=3)
    step = step_of(second, "approval")
    assert (step.attempt, step.tries, step.interruptions, step.started, step.ordinal) == (2, 1, 0, began, 3)
    assert second.finish("approval", "yes") == Stored()
    assert (step_of(second, "approval").tries, step_of(second, "approval").interruptions) == (1, 0)


def test_an_effect_that_is_started_again_by_the_next_attempt_is_a_second_try(worker: Worker) -> None:
    worker.start("charge", effect="at-most-once")
    second = resumed(worker)
    second.start("charge", effect="at-most-once")
    step = step_of(second, "charge")
    assert (step.attempt, step.tries, step.interruptions) == (2, 2, 1)


def test_the_end_of_a_started_step_is_stored(worker: Worker) -> None:
    """`DO NOTHING` in place of `DO UPDATE … WHERE status <> 'done'` would swallow it."""
    started = worker.start("charge", effect="at-most-once", deadline_after_ms=AN_HOUR)
    assert worker.finish("charge", 7) == Stored()
    step = step_of(worker, "charge")
    assert (step.status, step.result, step.effect, step.tries) == (StepStatus.DONE, encoded(7), "at-most-once", 1)
    assert step.deadline == started.deadline


def test_a_failure_of_a_started_step_is_stored_and_its_next_start_is_a_new_try(worker: Worker) -> None:
    worker.start("charge", effect="at-most-once")
    assert worker.finish("charge", error="OSError: no route", retry_after_ms=AN_HOUR) == Stored()
    worker.start("charge", effect="at-most-once")
    step = step_of(worker, "charge")
    assert (step.status, step.tries, step.failures, step.interruptions) == (StepStatus.STARTED, 2, 1, 0)
    assert (step.error, step.finished, step.retry_at) == ("", None, None)
    assert [(each.number, each.outcome) for each in worker.store.list_tries(worker.fence.run_id)] == [
        (1, "Failed"),
        (2, "Started"),
    ]


def test_a_done_step_is_not_started(worker: Worker) -> None:
    worker.finish("charge", 7)
    before = step_of(worker, "charge")
    assert worker.start("charge") == AlreadyDone("charge", "")
    assert resumed(worker).start("charge", effect="at-most-once") == AlreadyDone("charge", "")
    assert step_of(worker, "charge") == before


def test_a_start_that_arrives_after_a_later_write_changes_nothing(worker: Worker) -> None:
    early = worker.write()
    worker.finish("charge", error="no")
    before = step_of(worker, "charge")
    assert isinstance(worker.start("charge", write=early), Started)
    assert step_of(worker, "charge") == before


def test_a_start_says_when_a_stop_is_wanted(worker: Worker) -> None:
    worker.store.request_stop(worker.fence.run_id, 1, "Suspended")
    assert worker.start("approval").stop_requested == "Suspended"


def test_a_start_notices_a_rewound_store(worker: Worker) -> None:
    gone = WriteRef("step", "load", "", "c" * 32, 3)
    assert isinstance(worker.start("charge", write=Write("d" * 32, 4, gone)), Rewound)
    assert worker.store.list_steps(worker.fence.run_id) == ()


def test_a_start_whose_name_can_not_be_stored_is_refused(worker: Worker) -> None:
    with pytest.raises(StoreRefused, match="the step's name"):
        worker.start("x" * 256)


def test_each_failure_is_counted_and_its_try_kept(worker: Worker) -> None:
    for number in range(3):
        assert worker.finish("ship", error=f"OSError: {number}", duration_ms=5) == Stored()
    step = step_of(worker, "ship")
    assert (step.tries, step.failures, step.final, step.error) == (3, 3, False, "OSError: 2")
    tries = worker.store.list_tries(worker.fence.run_id)
    assert [(each.number, each.outcome, each.error) for each in tries] == [
        (1, "Failed", "OSError: 0"),
        (2, "Failed", "OSError: 1"),
        (3, "Failed", "OSError: 2"),
    ]
    assert all(each.started and each.finished for each in tries)


def test_a_failure_says_when_it_is_tried_again_by_the_stores_clock(worker: Worker) -> None:
    worker.finish("ship", error="no", retry_after_ms=AN_HOUR)
    step = step_of(worker, "ship")
    assert step.finished is not None
    assert step.retry_at == step.finished + timedelta(hours=1)


def test_a_step_that_failed_for_good_says_so_to_the_next_attempt(worker: Worker) -> None:
    worker.finish("ship", error="no")
    worker.finish("ship", error="never", final=True, retry_after_ms=None)
    begun = resumed(worker).begun
    assert begun is not None
    [step] = begun.steps
    assert (step.status, step.final, step.failures, step.error) == (StepStatus.FAILED, True, 2, "never")


def test_a_success_after_failures_keeps_their_number_and_nothing_else_of_them(worker: Worker) -> None:
    worker.finish("ship", error="no", final=True, retry_after_ms=AN_HOUR)
    worker.finish("ship", 1)
    step = step_of(worker, "ship")
    assert (step.status, step.failures, step.final, step.retry_at, step.error) == (StepStatus.DONE, 1, False, None, "")


def test_a_failure_sent_again_is_one_failure(worker: Worker) -> None:
    write = worker.write()
    for _ in range(2):
        worker.finish("ship", error="no", write=write)
    assert step_of(worker, "ship").failures == 1


def test_a_failure_of_an_interrupted_step_keeps_the_interrupted_try(worker: Worker) -> None:
    worker.save("ship", 1)
    second = resumed(worker)
    second.finish("ship", error="no")
    step = step_of(second, "ship")
    assert (step.tries, step.interruptions, step.failures) == (2, 1, 1)
    assert [each.outcome for each in second.store.list_tries(second.fence.run_id)] == ["Interrupted", "Failed"]
