"""Saving how far a step got, and the heartbeat that shows what runs."""

import pytest

from resumable.state.outcome import AlreadyStored, Rewound, Stored, StoreRefused
from resumable.state.record import StepStatus, Write, WriteRef
from resumable.state.store import SavedCursor, StepActivity
from tests.contract.runs import Worker, encoded, resumed, step_of


def test_a_saved_cursor_replaces_the_one_before(worker: Worker) -> None:
    assert worker.save("import", 41) == Stored()
    assert worker.save("import", 42, checkpoint="run/import/1-2") == Stored()
    [cursor] = worker.store.list_cursors(worker.fence.run_id)
    assert (cursor.name, cursor.value, cursor.checkpoint) == ("import", encoded(42), "run/import/1-2")
    assert (cursor.attempt, cursor.sequence) == (1, 2)


def test_a_saved_cursor_shows_the_step_as_started_with_its_progress(worker: Worker) -> None:
    worker.save(
        "import", 42, ordinal=3, running_ms=2500, progress_current=42, progress_total=100, progress_message="rows"
    )
    step = step_of(worker, "import")
    assert (step.status, step.ordinal) == (StepStatus.STARTED, 3)
    assert (step.progress_current, step.progress_total, step.progress_message) == (42.0, 100.0, "rows")
    assert step.saved is not None
    assert step.started is not None
    assert (step.saved - step.started).total_seconds() == 2.5


def test_a_save_sent_again_is_already_stored(worker: Worker) -> None:
    write = worker.write()
    worker.save("import", 41, write=write)
    assert worker.save("import", 41, write=write) == AlreadyStored()


def test_a_late_duplicate_does_not_move_the_cursor_back(worker: Worker) -> None:
    early = worker.write()
    worker.save("import", 42, write=worker.write())
    assert worker.save("import", 41, write=early) == AlreadyStored()
    assert worker.store.list_cursors(worker.fence.run_id)[0].value == encoded(42)


def test_the_next_attempt_numbers_its_saves_anew(worker: Worker) -> None:
    for value in range(5):
        worker.save("import", value)
    second = resumed(worker)
    assert second.save("import", 99) == Stored()
    [cursor] = second.store.list_cursors(second.fence.run_id)
    assert (cursor.value, cursor.attempt, cursor.sequence) == (encoded(99), 2, 1)


def test_an_acknowledged_cursor_is_missed_only_when_the_store_has_an_older_one(worker: Worker) -> None:
    worker.save("import", 41)
    worker.save("import", 42)  # write 2 of the attempt
    for sequence, expected in ((1, Stored), (2, Stored), (3, Rewound)):
        ref = WriteRef("cursor", "import", "", f"{sequence:032x}", sequence)
        write = Write(f"{90 + sequence:032x}", 10 + sequence, ref)
        outcome = worker.store.save_cursor(worker.fence, write, SavedCursor(name=f"other-{sequence}"))
        assert isinstance(outcome, expected)


def test_a_cursor_may_have_no_value(worker: Worker) -> None:
    outcome = worker.store.save_cursor(worker.fence, worker.write(), SavedCursor(name="train", checkpoint="c/1"))
    assert outcome == Stored()
    [cursor] = worker.store.list_cursors(worker.fence.run_id)
    assert (cursor.value, cursor.checkpoint) == (None, "c/1")


def test_a_heartbeat_shows_what_runs(worker: Worker) -> None:
    activity = (
        StepActivity(name="train", ordinal=1, running_ms=3000, progress_current=0.5, progress_message="loss 0.31"),
        StepActivity(name="thumb", key="a", ordinal=2),
    )
    assert worker.store.heartbeat(worker.fence, activity) == Stored()
    train, thumb = worker.store.list_steps(worker.fence.run_id)
    assert (train.name, train.status, train.progress_message) == ("train", StepStatus.STARTED, "loss 0.31")
    assert (thumb.name, thumb.key, thumb.status) == ("thumb", "a", StepStatus.STARTED)


def test_a_heartbeat_keeps_when_the_step_started_and_what_it_saved(worker: Worker) -> None:
    worker.save("train", 1, running_ms=1000)
    before = step_of(worker, "train")
    worker.show("train", running_ms=9_000_000, progress_message="on")
    after = step_of(worker, "train")
    assert (after.started, after.saved, after.progress_message) == (before.started, before.saved, "on")


def test_a_heartbeat_that_comes_late_does_not_revive_a_failed_step(worker: Worker) -> None:
    worker.finish("train", error="no")
    assert worker.show("train") == Stored()
    assert step_of(worker, "train").status is StepStatus.FAILED


def test_a_heartbeat_without_activity_only_asks(worker: Worker) -> None:
    assert worker.store.heartbeat(worker.fence) == Stored()
    worker.store.request_stop(worker.fence.run_id, 1, "Suspended")
    assert worker.store.heartbeat(worker.fence) == Stored("Suspended")
    assert worker.store.list_steps(worker.fence.run_id) == ()


def test_a_checkpoint_location_that_can_not_be_stored_is_refused(worker: Worker) -> None:
    with pytest.raises(StoreRefused, match="checkpoint"):
        worker.save("train", 1, checkpoint="x" * 5000)
