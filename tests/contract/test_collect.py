"""The sweep: what was kept for a time that is over goes, by the store's clock; everything else stays."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from resumable.state.outcome import Changed, Stored
from resumable.state.record import EndKind, RunStatus, StepStatus
from resumable.state.store import Expected, NewSignal, RestartRequest, RunEnd, Store
from tests.contract.runs import Worker, encoded, ended, names, next_worker, run_of, started, step_of

A_MOMENT_MS = 1
AN_HOUR_MS = 3_600_000


def until_it_removed(store: Store, count: int) -> None:
    """Sweep until so much is gone: the store's clock has to pass the moment of expiry."""
    deadline, removed = time.monotonic() + 20, 0
    while removed < count:
        assert time.monotonic() < deadline, f"{removed} of {count} were removed"
        removed += store.collect()
        time.sleep(0.002)
    assert removed == count


def let_it_pass(store: Store) -> None:
    """Until the store's clock is past everything that was kept for a moment."""
    start, deadline = store.info().now, time.monotonic() + 20
    while store.info().now <= start + timedelta(milliseconds=A_MOMENT_MS + 1):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def finished_run(store: Store, run_id: str, *, expires_after_ms: int | None) -> Worker:
    worker = started(store, run_id)
    worker.finish("a", 1)
    worker.save("b", 2, ordinal=1)
    store.send_signal(run_id, NewSignal(id="s", name="x"))
    worker.end(RunStatus.SUCCEEDED, expires_after_ms=expires_after_ms)
    return worker


def test_a_result_is_dropped_when_its_time_is_over_and_the_step_stays_done(worker: Worker) -> None:
    store = worker.store
    worker.finish("short", "x" * 1000, expires_after_ms=A_MOMENT_MS, ordinal=0)
    worker.finish("long", "kept", expires_after_ms=AN_HOUR_MS, ordinal=1)
    worker.finish("ever", "kept", ordinal=2)

    until_it_removed(store, 1)

    assert step_of(worker, "short").result is None
    assert step_of(worker, "short").status is StepStatus.DONE
    assert step_of(worker, "short").expires is not None
    assert step_of(worker, "long").result == step_of(worker, "ever").result == encoded("kept")
    assert store.collect() == 0, "what was removed is not removed again"


def test_what_was_dropped_is_told_to_the_next_attempt_as_expired(worker: Worker) -> None:
    worker.finish("short", 1, expires_after_ms=A_MOMENT_MS, ordinal=0)
    worker.finish("ever", 2, ordinal=1)
    until_it_removed(worker.store, 1)

    begun = next_worker(worker.store, ended(worker)).begun

    assert begun is not None
    assert names(begun.steps) == ["ever"]
    assert [(step.name, step.result) for step in begun.expired] == [("short", None)]


def test_results_of_many_runs_go_in_one_sweep(store: Store) -> None:
    workers = [started(store) for _ in range(5)]
    for worker in workers:
        for number in range(3):
            worker.finish("a", number, key=str(number), ordinal=number, expires_after_ms=A_MOMENT_MS)
    let_it_pass(store)

    assert store.collect() == 15

    assert all(step.result is None for worker in workers for step in store.list_steps(worker.fence.run_id))


def test_the_record_of_a_finished_run_goes_with_all_that_is_its(store: Store) -> None:
    finished_run(store, "short", expires_after_ms=A_MOMENT_MS)
    finished_run(store, "long", expires_after_ms=AN_HOUR_MS)
    finished_run(store, "ever", expires_after_ms=None)

    until_it_removed(store, 1)

    assert {run.id for run in store.list_runs()} == {"long", "ever"}
    assert store.view("short") is None
    gone: list[Callable[[str], tuple[object, ...]]] = [
        store.list_steps,
        store.list_cursors,
        store.list_signals,
        store.list_events,
        store.list_tries,
    ]
    assert [read("short") for read in gone] == [()] * len(gone)
    assert all(read("ever") for read in gone)


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED])
def test_a_run_that_was_restarted_is_not_removed_for_its_earlier_end(store: Store, status: RunStatus) -> None:
    worker = started(store)
    worker.end(status, expires_after_ms=A_MOMENT_MS)
    over = ended(worker, EndKind.COMPLETION, to=status, cause="Completed")
    assert over.expires is not None
    outcome = store.restart(over.id, Expected.of(over), RestartRequest(request_id="again"))
    assert isinstance(outcome, Changed)
    let_it_pass(store)

    assert store.collect() == 0

    assert run_of(store, over.id).expires is None


def test_a_run_that_goes_on_is_never_removed(worker: Worker) -> None:
    """A time to keep the record is one after the end: other ends have none."""
    worker.store.end_run(worker.fence, worker.write(), RunEnd(status=RunStatus.PAUSED, expires_after_ms=A_MOMENT_MS))
    let_it_pass(worker.store)

    assert worker.store.collect() == 0

    assert run_of(worker.store, worker.fence.run_id).status is RunStatus.PAUSED


def test_a_worker_that_runs_is_not_disturbed(worker: Worker) -> None:
    worker.finish("a", 1, expires_after_ms=A_MOMENT_MS)
    until_it_removed(worker.store, 1)

    assert worker.finish("b", 2, ordinal=1) == Stored(), "the step that it names as its last write is there still"
    assert run_of(worker.store, worker.fence.run_id).status is RunStatus.RUNNING
