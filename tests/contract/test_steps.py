"""The guarded write of a step's end."""

import threading

import pytest

from resumable.state.outcome import AlreadyDone, AlreadyStored, Fenced, Rewound, Stopped, Stored, StoreRefused
from resumable.state.record import RunStatus, StepStatus, Write, WriteRef
from resumable.state.store import Expected, FinishedStep
from tests.contract.runs import Worker, encoded, ended, is_fenced, resumed, run_of, step_of


def test_a_finished_step_is_stored_with_its_result(worker: Worker) -> None:
    assert worker.finish("load", {"rows": 3}, key="a", ordinal=5, duration_ms=1500) == Stored()
    step = step_of(worker, "load", "a")
    assert (step.status, step.result, step.ordinal) == (StepStatus.DONE, encoded({"rows": 3}), 5)
    assert (step.attempt, step.tries, step.interruptions) == (1, 1, 0)
    assert step.started is not None
    assert step.finished is not None
    assert (step.finished - step.started).total_seconds() == 1.5


def test_a_step_is_known_by_its_name_and_key(worker: Worker) -> None:
    for name, key in [("ship", ""), ("ship", "a"), ("ship", "b"), ("pack", "a")]:
        assert worker.finish(name, f"{name}/{key}", key=key) == Stored()
    assert len(worker.store.list_steps(worker.fence.run_id)) == 4
    assert step_of(worker, "ship", "b").result == encoded("ship/b")


def test_a_write_sent_again_after_a_lost_reply_is_already_stored(worker: Worker) -> None:
    write = worker.write()
    assert worker.finish("load", 1, write=write) == Stored()
    assert worker.finish("load", 1, write=write) == AlreadyStored()
    assert step_of(worker, "load").tries == 1


def test_a_lost_reply_is_answered_although_the_run_was_ended_since(worker: Worker) -> None:
    write = worker.write()
    worker.finish("load", 1, write=write)
    worker.end(RunStatus.SUCCEEDED)
    assert worker.finish("load", 1, write=write) == AlreadyStored()


def test_a_zombies_write_is_fenced_also_when_it_had_landed(worker: Worker) -> None:
    write, payload = worker.write(), worker.write()
    worker.finish("load", 1, write=write)
    worker.store.save_payload(worker.fence, payload, encoded(1))
    resumed(worker)
    assert is_fenced(worker.finish("load", 1, write=write))
    assert is_fenced(worker.store.save_payload(worker.fence, payload, encoded(1)))


def test_a_done_step_never_changes(worker: Worker) -> None:
    worker.finish("load", "first")
    before = step_of(worker, "load")
    assert worker.finish("load", "second") == AlreadyDone("load", "")
    assert worker.save("load", 1) == AlreadyDone("load", "")
    assert worker.show("load", progress_message="again") == Stored()
    assert resumed(worker).finish("load", "third") == AlreadyDone("load", "")
    assert step_of(worker, "load") == before


def test_the_end_of_a_step_whose_start_is_recorded_is_stored(worker: Worker) -> None:
    worker.show("load", running_ms=2000, progress_message="half")
    assert worker.finish("load", 1) == Stored()
    step = step_of(worker, "load")
    assert (step.status, step.result, step.tries, step.interruptions) == (StepStatus.DONE, encoded(1), 1, 0)


def test_a_failed_step_is_recorded_and_runs_again_in_the_next_attempt(worker: Worker) -> None:
    assert worker.finish("load", error="OSError: no route") == Stored()
    failed = step_of(worker, "load")
    assert (failed.status, failed.error, failed.result) == (StepStatus.FAILED, "OSError: no route", None)
    second = resumed(worker)
    assert second.finish("load", 1) == Stored()
    step = step_of(second, "load")
    assert (step.status, step.error, step.tries, step.interruptions) == (StepStatus.DONE, "", 2, 0)


def test_a_failure_sent_again_is_counted_once(worker: Worker) -> None:
    write = worker.write()
    worker.finish("load", error="no", write=write)
    assert worker.finish("load", error="no", write=write) == AlreadyStored()
    assert step_of(worker, "load").tries == 1


def test_a_step_that_is_tried_again_in_the_same_attempt_counts_its_tries(worker: Worker) -> None:
    for _ in range(3):
        worker.finish("load", error="no")
    worker.finish("load", 1)
    step = step_of(worker, "load")
    assert (step.tries, step.interruptions) == (4, 0)


def test_a_step_interrupted_in_one_attempt_and_finished_in_the_next_was_interrupted_once(worker: Worker) -> None:
    worker.save("import", 41)
    worker.save("import", 42)
    second = resumed(worker)
    assert step_of(second, "import").status is StepStatus.STARTED
    second.show("import")
    second.show("import")
    assert (step_of(second, "import").attempt, step_of(second, "import").tries) == (2, 2)
    second.finish("import", "all")
    step = step_of(second, "import")
    assert (step.tries, step.interruptions) == (2, 1)


def test_tries_count_only_the_attempts_in_which_the_step_ran(worker: Worker) -> None:
    worker.show("slow")
    third = resumed(resumed(worker))  # the second never came to it
    third.finish("slow")
    assert (step_of(third, "slow").tries, step_of(third, "slow").interruptions) == (2, 1)


def test_a_zombie_that_comes_back_changes_nothing(worker: Worker) -> None:
    worker.finish("load", 1)
    second = resumed(worker)
    second.save("import", 10)
    before = (worker.store.list_steps(worker.fence.run_id), worker.store.list_cursors(worker.fence.run_id))
    assert all(is_fenced(outcome) for outcome in worker.every_write())
    assert worker.finish("import", "zombie") == Fenced(2, "attempt 2 is the current one")
    assert (worker.store.list_steps(worker.fence.run_id), worker.store.list_cursors(worker.fence.run_id)) == before
    assert run_of(worker.store, worker.fence.run_id).status is RunStatus.RUNNING


def test_a_run_that_was_stopped_is_told_apart_from_a_fence(worker: Worker) -> None:
    ended(worker, to=RunStatus.SUSPENDED)
    assert worker.every_write() == [Stopped(RunStatus.SUSPENDED)] * 7
    assert worker.store.list_steps(worker.fence.run_id) == ()


def test_a_minted_attempt_that_has_not_begun_can_not_write(worker: Worker) -> None:
    run = ended(worker)
    store = worker.store
    outcome = store.mint(run.id, Expected.of(run), "b" * 32)
    assert Worker(store, outcome.run.fence).every_write() == [Stopped(RunStatus.PENDING)] * 7  # type: ignore[union-attr]


def test_a_requested_stop_is_told_in_every_reply(worker: Worker) -> None:
    worker.store.request_stop(worker.fence.run_id, 1, "RolledOut")
    assert [outcome.stop_requested for outcome in worker.every_write()] == ["RolledOut"] * 7


def test_a_requested_stop_is_forgotten_with_the_attempt(worker: Worker) -> None:
    worker.store.request_stop(worker.fence.run_id, 1, "RolledOut")
    assert resumed(worker).finish("next") == Stored()


def test_an_acknowledged_step_that_is_gone_is_a_rewound_store(worker: Worker) -> None:
    gone = WriteRef("step", "load", "a", "c" * 32, 3)
    outcome = worker.store.finish_step(worker.fence, Write("d" * 32, 4, gone), FinishedStep(name="next"))
    assert isinstance(outcome, Rewound)
    assert "load[a]" in outcome.missing
    assert worker.store.list_steps(worker.fence.run_id) == ()


def test_an_acknowledged_write_that_a_later_one_replaced_is_not_missed(worker: Worker) -> None:
    worker.finish("load", error="no")
    failed = worker.acknowledged
    worker.finish("load", 1)
    assert worker.finish("next", write=Write("d" * 32, 9, failed)) == Stored()


def test_a_late_duplicate_of_an_overtaken_write_does_nothing(worker: Worker) -> None:
    early = worker.write()
    assert worker.finish("load", error="second try", write=worker.write()) == Stored()
    assert worker.finish("load", error="first try", write=early) == AlreadyStored()
    assert step_of(worker, "load").error == "second try"


def test_many_threads_of_one_worker_write_at_once(worker: Worker) -> None:
    writes = [(f"thumb-{number}", Write(f"{number:032x}", number)) for number in range(1, 41)]
    outcomes: list[object] = []

    def finish(part: list[tuple[str, Write]]) -> None:
        outcomes.extend(worker.finish(name, write=write) for name, write in part)

    threads = [threading.Thread(target=finish, args=(writes[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == [Stored()] * 40
    assert len(worker.store.list_steps(worker.fence.run_id)) == 40


@pytest.mark.parametrize("name", ["x" * 256, "a\0b", "a\udc80b"])
def test_a_name_that_can_not_be_stored_is_refused_by_name(worker: Worker, name: str) -> None:
    with pytest.raises(StoreRefused, match="the step's name"):
        worker.finish(name)


def test_a_number_that_is_too_large_is_refused(worker: Worker) -> None:
    with pytest.raises(StoreRefused):
        worker.finish("load", ordinal=10**30)
    assert worker.finish("load") == Stored()


def test_an_error_message_is_stored_whatever_is_in_it(worker: Worker) -> None:
    worker.finish("load", error="no file a\udc80b\0")
    assert step_of(worker, "load").error == "no file a\\udc80b\\x00"


def test_a_result_of_a_megabyte_comes_back_as_it_was(worker: Worker) -> None:
    value = "é" * 500_000
    worker.finish("load", value)
    assert step_of(worker, "load").result == encoded(value)
