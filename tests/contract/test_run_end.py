"""The worker's writes to the run itself: the payload and the end."""

import pytest

from resumable.state.outcome import AlreadyStored, Fenced, Rewound, Stopped, Stored, StoreRefused
from resumable.state.record import Encoded, RunStatus, Write, WriteRef
from resumable.state.store import RunEnd
from tests.contract.runs import Worker, encoded, ended, resumed, run_of

GONE = WriteRef("step", "load", "", "c" * 32, 9)


def test_the_payload_is_the_last_one_saved(worker: Worker) -> None:
    store, fence = worker.store, worker.fence
    first = worker.write()
    assert store.save_payload(fence, first, encoded({"n": 1})) == Stored()
    assert store.save_payload(fence, first, encoded({"n": 1})) == AlreadyStored()
    assert store.save_payload(fence, worker.write(), Encoded("json", b"")) == Stored()
    assert run_of(store, fence.run_id).payload == Encoded("json", b"")


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.PAUSED, RunStatus.WAITING])
def test_a_worker_ends_its_run(worker: Worker, status: RunStatus) -> None:
    assert worker.end(status, reason="Because", message="why", result=encoded(7), error="trace") == Stored()
    run = run_of(worker.store, worker.fence.run_id)
    assert (run.status, run.reason, run.message, run.result, run.error) == (
        status,
        "Because",
        "why",
        encoded(7),
        "trace",
    )
    assert (run.finished is not None) == status.terminal


def test_an_end_sent_again_is_already_stored(worker: Worker) -> None:
    write = worker.write()
    end = RunEnd(status=RunStatus.SUCCEEDED, result=encoded(1))
    assert worker.store.end_run(worker.fence, write, end) == Stored()
    before = run_of(worker.store, worker.fence.run_id)
    assert worker.store.end_run(worker.fence, write, end) == AlreadyStored()
    assert run_of(worker.store, worker.fence.run_id) == before


def test_a_run_that_ended_is_not_ended_otherwise(worker: Worker) -> None:
    worker.end(RunStatus.SUCCEEDED)
    assert worker.end(RunStatus.FAILED) == Stopped(RunStatus.SUCCEEDED)


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING, RunStatus.SUSPENDED, RunStatus.CANCELLED])
def test_a_worker_can_not_write_the_controllers_states(worker: Worker, status: RunStatus) -> None:
    with pytest.raises(StoreRefused, match="can't end its run as"):
        worker.end(status)
    assert run_of(worker.store, worker.fence.run_id).status is RunStatus.RUNNING


def test_an_attempt_that_was_succeeded_can_not_end_the_run(worker: Worker) -> None:
    resumed(worker)
    assert isinstance(worker.end(RunStatus.SUCCEEDED), Fenced)
    assert run_of(worker.store, worker.fence.run_id).status is RunStatus.RUNNING


def test_an_attempt_whose_end_is_counted_can_not_end_the_run(worker: Worker) -> None:
    ended(worker)
    assert worker.end(RunStatus.SUCCEEDED) == Stopped(RunStatus.INTERRUPTED)


def test_a_rewound_store_is_noticed_by_the_payload_and_the_end(worker: Worker) -> None:
    before = run_of(worker.store, worker.fence.run_id)
    end = RunEnd(status=RunStatus.SUCCEEDED)
    assert isinstance(worker.store.save_payload(worker.fence, Write("d" * 32, 10, GONE), encoded(1)), Rewound)
    assert isinstance(worker.store.end_run(worker.fence, Write("e" * 32, 11, GONE), end), Rewound)
    assert run_of(worker.store, worker.fence.run_id) == before


def test_a_worker_that_found_the_store_rewound_can_still_pause_its_run(worker: Worker) -> None:
    paused = RunEnd(status=RunStatus.PAUSED, reason="StateRewound")
    assert worker.store.end_run(worker.fence, Write("e" * 32, 11), paused) == Stored()


def test_each_change_of_the_run_raises_its_version(worker: Worker) -> None:
    def version() -> int:
        return run_of(worker.store, worker.fence.run_id).version

    seen = [version()]
    worker.store.save_payload(worker.fence, worker.write(), encoded(1))
    seen.append(version())
    worker.store.request_stop(worker.fence.run_id, 1, "Suspended")
    seen.append(version())
    worker.end(RunStatus.FAILED)
    seen.append(version())
    assert seen == sorted(set(seen))


def test_step_writes_do_not_touch_the_run(worker: Worker) -> None:
    before = run_of(worker.store, worker.fence.run_id)
    worker.finish("load", 1)
    worker.save("import", 1)
    worker.show("import")
    assert run_of(worker.store, worker.fence.run_id) == before
