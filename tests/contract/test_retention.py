"""How long results are kept, as the worker says and sees it; forgetting; what the record's version tells."""

from datetime import timedelta

import pytest

from resumable.state.outcome import AlreadyDone, AlreadyStored, Begun, Rewound, Stopped, Stored, StoreRefused
from resumable.state.record import RunStatus, Write, WriteRef
from resumable.state.store import Expected, Store
from tests.contract.runs import (
    Worker,
    changed,
    encoded,
    ended,
    minted,
    names,
    new_run,
    resumed,
    run_of,
    started,
    step_of,
)

A_DAY_MS = 24 * 3600 * 1000


def begun_by(worker: Worker) -> Begun:
    assert worker.begun is not None
    return worker.begun


def test_a_result_says_how_long_it_is_kept(worker: Worker) -> None:
    worker.finish("load", 1, expires_after_ms=A_DAY_MS)
    worker.finish("report", 2, until_done=True)
    load, report = step_of(worker, "load"), step_of(worker, "report")
    assert load.finished is not None
    assert (load.expires, load.until_done) == (load.finished + timedelta(days=1), False)
    assert (report.expires, report.until_done) == (None, True)
    assert names(begun_by(resumed(worker)).steps) == ["load", "report"]


def test_an_expired_result_is_not_given_to_the_next_attempt_which_is_told(worker: Worker) -> None:
    worker.finish("kept", 1)
    worker.finish("token", "secret", expires_after_ms=0)
    begun = begun_by(resumed(worker))
    assert names(begun.steps) == ["kept"]
    [expired] = begun.expired
    assert (expired.name, expired.result) == ("token", None)
    assert begun.now is not None
    assert expired.expires is not None
    assert expired.expires <= begun.now


def test_an_expired_step_runs_again_when_it_is_forgotten(worker: Worker) -> None:
    worker.finish("token", "old", expires_after_ms=0)
    second = resumed(worker)
    assert second.finish("token", "new") == AlreadyDone("token", "")
    assert second.forget("token") == Stored()
    assert second.finish("token", "new") == Stored()
    assert (step_of(second, "token").result, step_of(second, "token").tries) == (encoded("new"), 1)


def test_a_failure_is_kept_for_ever(worker: Worker) -> None:
    worker.finish("load", error="no", expires_after_ms=0, until_done=True)
    step = step_of(worker, "load")
    assert (step.expires, step.until_done) == (None, False)
    assert begun_by(resumed(worker)).expired == ()


def test_results_that_were_kept_until_the_end_go_with_success(worker: Worker) -> None:
    worker.finish("kept", 1)
    worker.finish("report", "x" * 1000, until_done=True)
    worker.end(RunStatus.SUCCEEDED)
    assert step_of(worker, "kept").result == encoded(1)
    report = step_of(worker, "report")
    assert (report.status, report.result) == ("Done", None)
    assert report.expires is not None  # so that a restarted run does not take it for a result


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.PAUSED, RunStatus.WAITING])
def test_results_that_are_kept_until_the_end_outlive_every_other_one(worker: Worker, status: RunStatus) -> None:
    worker.finish("report", 1, until_done=True)
    worker.end(status)
    assert step_of(worker, "report").result == encoded(1)


def test_a_finished_run_says_when_its_record_goes(worker: Worker) -> None:
    worker.end(RunStatus.SUCCEEDED, expires_after_ms=A_DAY_MS)
    run = run_of(worker.store, worker.fence.run_id)
    assert run.finished is not None
    assert run.expires == run.finished + timedelta(days=1)


def test_a_run_that_is_not_finished_does_not_expire(worker: Worker) -> None:
    worker.end(RunStatus.PAUSED, expires_after_ms=1)
    assert run_of(worker.store, worker.fence.run_id).expires is None


def test_a_forgotten_step_and_its_cursor_are_gone_and_its_tries_stay(worker: Worker) -> None:
    worker.finish("other", 0)
    worker.finish("load", error="no", key="a")
    worker.save("load", 1, key="a")
    worker.finish("load", 1, key="a")
    assert worker.forget("load", "a") == Stored()
    begun = begun_by(resumed(worker))
    assert (names(begun.steps), begun.cursors) == (["other"], ())
    assert worker.store.list_cursors(worker.fence.run_id) == ()
    tries = [each for each in worker.store.list_tries(worker.fence.run_id) if each.name == "load"]
    assert [(each.number, each.outcome) for each in tries] == [(1, "Failed"), (2, "Done")]


def test_a_step_that_runs_again_after_it_was_forgotten_begins_anew_and_its_tries_are_numbered_on(
    worker: Worker,
) -> None:
    for _ in range(2):
        worker.finish("load", error="no")
    worker.forget("load")
    worker.finish("load", error="again")
    worker.finish("load", 1)
    step = step_of(worker, "load")
    assert (step.tries, step.failures, step.result) == (2, 1, encoded(1))
    tries = worker.store.list_tries(worker.fence.run_id)
    assert [(each.number, each.outcome) for each in tries] == [
        (1, "Failed"),
        (2, "Failed"),
        (3, "Failed"),
        (4, "Done"),
    ]


def test_to_forget_what_is_not_there_is_done(worker: Worker) -> None:
    assert worker.forget("never-ran") == Stored()
    worker.finish("load")
    write = Write("d" * 32, 9)  # does not count on what is about to go
    assert worker.forget("load", write=write) == Stored()
    assert worker.forget("load", write=write) in (Stored(), AlreadyStored())


def test_a_late_duplicate_of_a_forget_leaves_what_ran_since(worker: Worker) -> None:
    worker.finish("load", 1)
    write = Write("d" * 32, 2)
    worker.forget("load", write=write)
    worker.sequence = 2
    worker.finish("load", 2)
    assert worker.forget("load", write=write) == AlreadyStored()
    assert step_of(worker, "load").result == encoded(2)


def test_to_forget_notices_a_rewound_store(worker: Worker) -> None:
    worker.finish("load", 1)
    gone = WriteRef("step", "gone", "", "c" * 32, 3)
    assert isinstance(worker.forget("load", write=Write("d" * 32, 9, gone)), Rewound)
    assert step_of(worker, "load").result == encoded(1)


def test_a_run_that_is_over_forgets_nothing_for_its_worker(worker: Worker) -> None:
    worker.finish("load", 1)
    worker.end(RunStatus.SUCCEEDED)
    assert worker.forget("load") == Stopped(RunStatus.SUCCEEDED)
    assert step_of(worker, "load").result == encoded(1)


def test_begin_tells_the_code_version_of_the_attempt_that_last_left_something(store: Store) -> None:
    first = Worker(store, minted(store, new_run(store)).fence)
    assert first.begin(code_version="1").previous_code_version == ""
    first.finish("load")
    killed = Worker(store, minted(store, ended(first)).fence)
    assert killed.begin(code_version="2").previous_code_version == "1"
    third = Worker(store, minted(store, ended(killed)).fence)
    assert third.begin(code_version="3").previous_code_version == "1"  # the second left nothing
    assert third.begin(code_version="3").previous_code_version == "1"
    third.save("import", 1)
    fourth = Worker(store, minted(store, ended(third)).fence)
    assert fourth.begin(code_version="4").previous_code_version == "3"
    fourth.end(RunStatus.PAUSED)
    run = changed(store.settle(first.fence.run_id, Expected.of(ended(fourth)), RunStatus.PENDING, reason="GoOn"))
    assert Worker(store, minted(store, run).fence).begin(code_version="5").previous_code_version == "4"


def test_a_record_of_a_newer_sdk_is_refused_and_says_what_to_do(store: Store) -> None:
    newer = Worker(store, minted(store, new_run(store)).fence)
    assert newer.begin(record_version=3).run.record_version == 3
    older = Worker(store, minted(store, ended(newer)).fence)
    with pytest.raises(StoreRefused, match=r"newer version.*image"):
        older.begin(record_version=2)
    assert run_of(store, newer.fence.run_id).status is RunStatus.PENDING
    assert older.begin(record_version=3).run.record_version == 3


def test_a_record_of_an_older_sdk_is_read_and_raised(store: Store) -> None:
    older = Worker(store, minted(store, new_run(store)).fence)
    assert older.begin().run.record_version == 1
    older.finish("load", 1)
    newer = Worker(store, minted(store, ended(older)).fence)
    begun = newer.begin(record_version=2)
    assert (begun.run.record_version, names(begun.steps)) == (2, ["load"])
    assert started(store).fence.attempt == 1
