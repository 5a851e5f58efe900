"""`begin`: the first process binds the attempt, and gets all that is to be resumed in one read."""

import pytest
from msgspec.structs import replace

from resumable.state.outcome import Begun, Fenced, NotBound, Stopped
from resumable.state.record import Fence, RunStatus
from resumable.state.store import Expected, Store
from tests.contract.runs import Worker, changed, encoded, ended, minted, new_run, next_worker, resumed, run_of, started


def test_the_first_begin_sets_the_run_running(store: Store) -> None:
    run = minted(store, new_run(store))
    begun = Worker(store, run.fence).begin(code_version="3")
    assert isinstance(begun, Begun)
    assert begun.run.status is RunStatus.RUNNING
    assert begun.run.code_version == "3"
    assert begun.run.started is not None
    assert begun.attempt.number == 1
    assert begun.attempt.begun is not None
    assert (begun.steps, begun.cursors) == ((), ())


def test_another_process_of_the_same_attempt_is_fenced(worker: Worker) -> None:
    outcome = Worker(worker.store, worker.fence).begin()
    assert isinstance(outcome, Fenced)
    assert "another process" in outcome.why


def test_the_same_process_again_gets_the_same_answer(worker: Worker) -> None:
    first, again = worker.begun, worker.begin()
    assert first is not None
    assert replace(again, now=first.now) == first


def test_a_begin_repeated_later_tells_what_was_stored_meanwhile(worker: Worker) -> None:
    worker.finish("load", 7)
    again = worker.begin()
    assert [step.result for step in again.steps] == [encoded(7)]


def test_an_older_attempt_is_fenced_and_learns_the_current_one(worker: Worker) -> None:
    resumed(worker)
    assert isinstance(outcome := worker.begin(), Fenced)
    assert outcome.attempt == 2


def test_the_same_number_minted_twice_is_told_apart_by_its_nonce(worker: Worker) -> None:
    other = Worker(worker.store, Fence(worker.fence.run_id, 1, "f" * 32))
    assert isinstance(other.begin(), Fenced)
    assert all(isinstance(outcome, Fenced) for outcome in other.every_write())


def test_a_run_that_is_gone_fences(worker: Worker) -> None:
    worker.store.delete_run(worker.fence.run_id)
    assert isinstance(worker.begin(), Fenced)
    assert all(isinstance(outcome, Fenced) for outcome in worker.every_write())
    assert worker.store.get_run(worker.fence.run_id) is None  # no write makes a run


def test_a_pod_that_is_not_bound_yet_has_to_ask_again(store: Store) -> None:
    run = minted(store, new_run(store))
    worker = Worker(store, run.fence)
    assert worker.begin(pod_uid="uid-1") == NotBound(1)
    changed(store.bind_pod(run.id, 1, run.nonce, pod_name="import-r1", pod_uid="uid-1", node="a"))
    assert isinstance(begun := worker.begin(pod_uid="uid-1"), Begun)
    assert (begun.attempt.pod_name, begun.attempt.pod_uid, begun.attempt.node) == ("import-r1", "uid-1", "a")


def test_another_pod_than_the_bound_one_never_begins(store: Store) -> None:
    run = minted(store, new_run(store))
    store.bind_pod(run.id, 1, run.nonce, pod_name="import-r1", pod_uid="uid-1")
    assert Worker(store, run.fence).begin(pod_uid="uid-2") == NotBound(1)
    assert run_of(store, run.id).status is RunStatus.PENDING


def test_an_attempt_whose_end_is_counted_can_not_begin_any_more(store: Store) -> None:
    run = minted(store, new_run(store))
    late = Worker(store, run.fence)
    ended(late, to=RunStatus.PENDING)  # its pod never ran, and the run backs off: the fence is still the stored one
    assert isinstance(outcome := late.begin(), Fenced)
    assert "counted" in outcome.why


@pytest.mark.parametrize("status", [RunStatus.SUSPENDED, RunStatus.PAUSED, RunStatus.CANCELLED])
def test_a_run_that_was_stopped_before_its_attempt_began_is_not_begun(store: Store, status: RunStatus) -> None:
    run = minted(store, new_run(store))
    changed(store.settle(run.id, Expected.of(run), status, reason="Asked"))
    assert Worker(store, run.fence).begin() == Stopped(status)


def test_a_resume_reads_what_earlier_attempts_finished_and_saved(worker: Worker) -> None:
    worker.finish("load", [1, 2], ordinal=0)
    worker.save("import", 41, ordinal=1)
    worker.save("import", 42, ordinal=1, checkpoint="run/import/1-2")
    worker.store.save_payload(worker.fence, worker.write(), encoded({"customer": 7}))
    begun = resumed(worker).begun
    assert begun is not None
    assert begun.run.payload == encoded({"customer": 7})
    assert begun.run.attempt == 2
    assert [(step.name, step.status, step.result) for step in begun.steps] == [
        ("load", "Done", encoded([1, 2])),
        ("import", "Started", None),
    ]
    [cursor] = begun.cursors
    assert (cursor.value, cursor.checkpoint, cursor.attempt) == (encoded(42), "run/import/1-2", 1)


def test_the_cursor_of_a_finished_step_is_not_read_again(worker: Worker) -> None:
    worker.save("import", 41)
    worker.finish("import", "all")
    begun = resumed(worker).begun
    assert begun is not None
    assert begun.cursors == ()
    assert len(worker.store.list_cursors(worker.fence.run_id)) == 1


def test_a_terminal_run_is_stopped_for_a_begin_that_is_repeated(worker: Worker) -> None:
    worker.end(RunStatus.SUCCEEDED)
    assert worker.begin() == Stopped(RunStatus.SUCCEEDED)


def test_a_stop_that_was_requested_before_begin_is_told_by_it(store: Store) -> None:
    run = minted(store, new_run(store))
    store.request_stop(run.id, 1, "Suspended")
    assert Worker(store, run.fence).begin().run.stop_requested == "Suspended"


def test_started_is_the_first_begin_of_all_attempts(store: Store) -> None:
    first = started(store)
    second = resumed(first)
    assert first.begun
    assert second.begun
    assert second.begun.run.started == first.begun.run.started
    assert next_worker(store, ended(second)).fence.attempt == 3
