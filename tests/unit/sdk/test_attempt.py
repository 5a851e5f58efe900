"""What an attempt does when the store says no. Each on a real SQLite, damaged or changed by hand."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from resumable import Fenced, Interrupted, Job, Rewound, StepContext, job
from resumable.sdk.heartbeat import Heartbeat
from resumable.state.outcome import Changed
from resumable.state.record import Encoded, RunStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import Expected, NewRun
from tests.unit.sdk.worker import begin, context, mint, status

FAST = timedelta(milliseconds=10)


def test_the_resume_reads_what_is_done_and_saved(store: SqlStore) -> None:
    attempt = begin(store)
    attempt.finish_step(attempt.enter("a", ""), result=Encoded("json", b"1"))
    context(attempt).save(4)
    attempt = begin(store)
    assert attempt.done.keys() == {("a", "")}
    assert attempt.cursors.keys() == {("s", "")}


def test_sequences_grow_over_all_attempts(store: SqlStore) -> None:
    step = context(begin(store))
    for n in range(5):
        step.save(n)
    assert begin(store).next_sequence() > 5


def test_a_write_that_is_gone_pauses_the_run(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/state.db")

    def lose(step: StepContext[int]) -> None:
        step.save(1)
        with sqlite3.connect(tmp_path / "state.db") as database:
            database.execute("DELETE FROM cursor")
        step.save(2)

    @job("j")
    def rewound(j: Job) -> None:
        j.step("lose", lose)

    with pytest.raises(Rewound, match="the store went back in time"):
        rewound.run(store=store)
    run = store.get_run("j")
    assert run is not None
    assert (run.status, run.reason) == (RunStatus.PAUSED, "StateRewound")
    store.close()


def test_a_run_that_is_gone_fences_its_worker(store: SqlStore) -> None:
    step = context(begin(store))
    store.delete_run("r")
    with pytest.raises(Fenced):
        step.save(1)


def test_an_attempt_that_is_not_the_current_one_does_not_begin(store: SqlStore) -> None:
    first = mint(store)
    mint(store)
    with pytest.raises(Fenced, match="attempt 2 is the current one"):
        begin(store, first)


def test_a_run_that_was_suspended_meanwhile_does_not_begin(store: SqlStore) -> None:
    fence = mint(store)
    run = store.get_run("r")
    assert run is not None
    assert isinstance(store.settle("r", Expected.of(run), RunStatus.SUSPENDED, reason="Suspended"), Changed)
    with pytest.raises(Interrupted, match="the run is Suspended"):
        begin(store, fence)


def test_somebody_who_wants_a_stop_is_heard_with_the_next_write(store: SqlStore) -> None:
    attempt = begin(store)
    store.request_stop("r", 1, "Rollout")
    step = context(attempt)
    step.save(1)
    with pytest.raises(Interrupted) as leaving:
        step.stop_if_asked()
    assert leaving.value.reason == "Rollout"


def test_a_heartbeat_shows_what_has_run_for_a_while(store: SqlStore) -> None:
    attempt = begin(store)
    quick, slow = attempt.enter("quick", ""), attempt.enter("slow", "k")
    slow.began -= 60
    slow.progress_current, slow.progress_total, slow.progress_message = 3, 9, "loss 0.1"
    attempt.show(quick)
    attempt.show(slow)
    attempt.beat()
    (row,) = store.list_steps("r")
    assert (row.name, row.key, row.progress_current, row.progress_message) == ("slow", "k", 3, "loss 0.1")


def test_a_heartbeat_hears_of_a_stop_and_of_a_successor(store: SqlStore) -> None:
    attempt = begin(store)
    with Heartbeat(attempt, limit=timedelta(seconds=60), interval=FAST):
        store.request_stop("r", 1, "Suspended")
        attempt.interruption._asked.wait(10)
        assert attempt.interruption.stop is not None
        assert attempt.interruption.stop.reason == "Suspended"
        mint(store)
        for _ in range(1000):
            if attempt.interruption.stop.fenced:
                break
            attempt.interruption.sleep(0.01)
    with pytest.raises(Fenced, match="attempt 1 of run r may not write any more"):
        attempt.interruption.safe_point()


def test_out_of_contact_for_too_long_it_leaves_by_its_own_clock(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/state.db")
    attempt = begin(store)
    store.close()
    (tmp_path / "state.db").rename(tmp_path / "away.db")
    (tmp_path / "state.db").mkdir()  # can't be opened
    with Heartbeat(attempt, limit=timedelta(milliseconds=50), interval=FAST):
        assert attempt.interruption._asked.wait(20)
    assert attempt.interruption.stop is not None
    assert attempt.interruption.stop.reason == "StoreUnavailable"


def test_input_from_the_resource_reaches_the_job(store: SqlStore) -> None:
    @job("job")
    def add(j: Job, a: int, b: int = 5) -> int:
        return a + b

    store.create_run(NewRun(id="r", namespace="default", name="job", input=Encoded("json", b'{"a": 2}')))
    assert add.run(id="r", store=store) == 7
    assert status(store) is RunStatus.SUCCEEDED
