"""How long a run may take, on a real SQLite in memory; each `run` is one attempt."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from resumable import Fatal, Job, JobDefinitionError, Retry, RunTimeout, StepContext, Waiting, job
from resumable.state.record import RunStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import go_on, run_of


def started_earlier(store: SqlStore, by: timedelta) -> None:
    """As if the run's first attempt had begun so much earlier."""
    with store.database.writing() as connection:
        connection.execute(text("UPDATE run SET started = started - :by"), {"by": int(by.total_seconds() * 1000)})


def until_asked(step: StepContext[int]) -> None:
    while True:
        step.stop_if_asked()


def test_a_run_that_takes_too_long_fails_for_good_at_its_next_safe_point(store: SqlStore) -> None:
    @job("j", timeout="100ms")
    def crawl(j: Job) -> None:
        j.step("wait", until_asked)

    with pytest.raises(RunTimeout, match=r"the run's time is over: it may take 0\.10s from its first start"):
        crawl.run(store=store)
    run = run_of(store, "j")
    assert (run.status, run.reason) == (RunStatus.FAILED, "RunTimeout")


def test_it_is_undone(store: SqlStore, effects: Effects) -> None:
    @job("j", timeout="2s")
    def crawl(j: Job) -> None:
        j.options(compensate=effects.append).step("reserve", effects.of("reserve", "undo"))
        j.step("wait", until_asked)

    with pytest.raises(RunTimeout):
        crawl.run(store=store)
    assert effects == ["reserve", "undo"]


def test_it_counts_over_all_attempts_and_the_replay_still_tells_what_to_undo(store: SqlStore, effects: Effects) -> None:
    @job("j", timeout="1h")
    def crawl(j: Job) -> None:
        for n in range(3):
            j.options(compensate=effects.append, key=n).step("reserve", effects.of(f"reserve {n}", f"undo {n}"))
        j.step("fresh", effects.of("fresh"))
        raise ValueError

    @job("j")
    def first(j: Job) -> None:
        for n in range(3):
            j.options(key=n).step("reserve", effects.of(f"reserve {n}", f"undo {n}"))
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the process's end
        first.run(store=store)
    started_earlier(store, timedelta(hours=2))
    with pytest.raises(RunTimeout):
        crawl.run(store=store)
    assert effects == ["reserve 0", "reserve 1", "reserve 2", "undo 2", "undo 1", "undo 0"]


def test_within_its_time_it_is_as_without(store: SqlStore, effects: Effects) -> None:
    @job("j", timeout=timedelta(hours=1))
    def crawl(j: Job) -> int:
        return j.step("s", effects.of("s", 5))

    assert crawl.run(store=store) == 5


def test_a_run_that_waits_is_woken_when_its_time_is_over(store: SqlStore, effects: Effects) -> None:
    @job("j", timeout="10m")
    def crawl(j: Job) -> None:
        def refuse() -> None:
            raise OSError

        j.options(retry=Retry(initial="1h", maximum="1h")).step("fetch", refuse)

    with pytest.raises(Waiting):
        crawl.run(store=store)
    run, view = run_of(store, "j"), store.view("j")
    assert run.wake_at is not None
    assert view is not None
    assert 590 < (run.wake_at - view.now).total_seconds() <= 600
    started_earlier(store, timedelta(minutes=10))
    go_on(store, "j")
    with pytest.raises(RunTimeout):
        crawl.run(store=store)


def test_another_failure_for_good_keeps_its_own_reason(store: SqlStore) -> None:
    @job("j", timeout="1h")
    def crawl(j: Job) -> None:
        raise Fatal("no")

    with pytest.raises(Fatal):
        crawl.run(store=store)
    assert run_of(store, "j").reason == "Fatal"


@pytest.mark.parametrize(("timeout", "said"), [("soon", "'soon' is not a duration"), ("0s", "longer than 0")])
def test_a_timeout_that_is_none_is_refused_when_the_job_is_defined(timeout: str, said: str) -> None:
    with pytest.raises(JobDefinitionError, match=rf"job 'j': timeout=.*{said}"):

        @job("j", timeout=timeout)
        def crawl(j: Job) -> None: ...
