"""Jobs with a bug: each is found, and the message says where and what."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

from resumable import AsyncJob, Job, StepContext, job
from resumable.testing import Jobs, ProcessKilled


def message(run: Callable[[], object]) -> str:
    with pytest.raises(AssertionError) as found:
        run()
    return str(found.value)


def test_an_effect_outside_of_a_step(jobs: Jobs) -> None:
    @job("careless")
    def careless(j: Job) -> int:
        one = j.step("one", int, 1)
        jobs.effect("charged", 4711)
        return one

    said = message(lambda: jobs.run(careless))

    assert "effect 'charged', 4711 happened 2 times instead of 1: it is outside of any step" in said
    assert re.search(r"interrupt=\d+: killed (before|after) ", said)


def test_an_effect_outside_of_a_step_of_an_async_job(jobs: Jobs) -> None:
    async def one() -> int:
        return 1

    @job("careless")
    async def careless(j: AsyncJob) -> int:
        number = await j.step("one", one)
        jobs.effect("charged", 4711)
        return number

    assert "it is outside of any step" in message(lambda: jobs.run(careless))


def import_job(step_of: Callable[[StepContext[int], int], None]) -> Any:
    def rows(step: StepContext[int]) -> None:
        for row in range((step.cursor or 0) + 1, 6):
            step_of(step, row)
            step.stop_if_asked()

    @job("import")
    def importing(j: Job) -> None:
        j.step("import", rows)

    return importing


def test_a_cursor_saved_before_its_row_was_written(jobs: Jobs) -> None:
    def save_first(step: StepContext[int], row: int) -> None:
        step.save(row)
        jobs.effect("row", row)

    def write_first(step: StepContext[int], row: int) -> None:
        jobs.effect("row", row)
        step.save(row)

    said = message(lambda: jobs.run(import_job(save_first)))
    assert "effect 'row', 1 of step import was lost: it happened 0 times instead of 1" in said
    assert "killed after save_cursor of import" in said
    jobs.run(import_job(write_first))


def test_a_cursor_saved_before_its_row_was_written_as_the_table_shows(jobs: Jobs) -> None:
    table: set[int] = set()

    def save_first(step: StepContext[int], row: int) -> None:
        step.save(row)
        table.add(row)

    run = import_job(save_first)
    said = message(lambda: jobs.run(run, fresh=table.clear, state=lambda: sorted(table)))
    assert "the state is [2, 3, 4, 5], undisturbed [1, 2, 3, 4, 5]" in said


def test_a_batch_that_iterate_does_not_flush(jobs: Jobs) -> None:
    def rows(step: StepContext[int]) -> None:
        batch: list[int] = []
        for row in step.iterate(range((step.cursor or 0) + 1, 8), cursor=lambda row: row):
            batch.append(row)
            if len(batch) == 3 or row == 7:
                for each in batch:
                    jobs.effect("row", each)
                batch.clear()

    @job("import")
    def importing(j: Job) -> None:
        j.step("import", rows)

    said = message(lambda: jobs.run(importing))
    assert "effect 'row', 1 of step import was lost" in said
    assert "asked to leave at a look whether to stop" in said


def test_a_result_that_depends_on_the_attempt(jobs: Jobs) -> None:
    @job("stamped")
    def stamped(j: Job) -> int:
        return j.step("stamp", int, j.attempt)

    said = message(lambda: jobs.run(stamped))
    assert "the result of step stamp is 2, undisturbed 1" in said
    assert "the job's result is 2, undisturbed 1" in said
    assert jobs.run(stamped, varies=["stamp", "stamped"]) == 1


def test_a_result_that_is_another_one_each_time(jobs: Jobs) -> None:
    numbers = itertools.count()

    @job("random")
    def random(j: Job) -> int:
        return j.step("number", lambda: 0) + next(numbers)

    assert "undisturbed it is another one the second time" in message(lambda: jobs.run(random))


def test_a_key_that_changes_from_attempt_to_attempt(jobs: Jobs) -> None:
    def ship() -> None:
        jobs.effect("shipped")

    @job("unstable")
    def unstable(j: Job) -> None:
        j.options(key=j.attempt).step("ship", ship)

    said = message(lambda: jobs.run(unstable))
    assert "effect 'shipped' of step ship[1] happened 2 times instead of 1: step ship[1] had finished" in said


def test_an_effect_that_may_not_come_again_at_all(jobs: Jobs) -> None:
    def pay() -> None:
        jobs.effect("paid")

    @job("pay")
    def paying(j: Job) -> None:
        j.step("pay", pay)

    jobs.run(paying)
    jobs.run(paying, repeats=1)
    said = message(lambda: jobs.run(paying, repeats=0))
    assert "effect 'paid' of step pay happened 2 times instead of 1: step pay had not finished, but repeats=0" in said


def test_one_point_is_run_alone(jobs: Jobs) -> None:
    @job("careless")
    def careless(j: Job) -> None:
        jobs.effect("charged")

    found = re.search(r"interrupt=(\d+)", message(lambda: jobs.run(careless)))
    assert found
    assert "(1 points tried)" in message(lambda: jobs.run(careless, interrupt=int(found[1])))
    jobs.run(careless, interrupt=1)
    jobs.run(careless, interrupt="never")
    with pytest.raises(ValueError, match="the job has the points 1 to "):
        jobs.run(careless, interrupt=1000)
    with pytest.raises(ValueError, match='"everywhere", "never" or a point'):
        jobs.run(careless, interrupt=0)


def test_who_swallows_the_end_of_its_process_has_no_effect_any_more(jobs: Jobs) -> None:
    swallowed: list[bool] = []

    def stubborn() -> str:
        try:
            jobs.effect("one")
        except ProcessKilled:
            before = jobs.effects
            with pytest.raises(ProcessKilled):
                jobs.effect("of the dead")
            with pytest.raises(ProcessKilled):
                jobs.signal("of-the-dead")
            swallowed.append(jobs.effects == before)
        return "done"

    @job("stubborn")
    def job_of_it(j: Job) -> str:
        try:
            return j.step("stubborn", stubborn)
        finally:
            j.step("after", str, "all")

    assert jobs.run(job_of_it) == "done"
    assert swallowed == [True]


def test_a_signal_that_nobody_sends(jobs: Jobs) -> None:
    @job("waits")
    def waits(j: Job) -> None:
        j.wait("approval", str)

    said = message(lambda: jobs.run(waits))
    assert "it waits for the signal 'approval', which the test does not send: jobs.signal('approval', payload)" in said


def test_an_effect_when_no_job_runs(jobs: Jobs) -> None:
    with pytest.raises(RuntimeError, match="call it while jobs"):
        jobs.effect("charged")


def test_a_job_that_fails_only_when_it_goes_on(jobs: Jobs) -> None:
    def rows(step: StepContext[int]) -> None:
        assert step.cursor is None, "this cursor was not expected"
        step.save(1)

    @job("fragile")
    def fragile(j: Job) -> None:
        j.step("rows", rows)

    with pytest.raises(
        AssertionError, match="7 attempts failed \\(AssertionError: this cursor was not expected\\)"
    ) as found:
        jobs.run(fragile)
    assert isinstance(found.value.__cause__, AssertionError)


def test_a_step_that_does_twice_what_it_may_do_once(jobs: Jobs) -> None:
    sent: list[str] = []

    def send() -> None:
        sent.append("mail")

    @job("mail")
    def mail(j: Job) -> None:
        j.step("send", send)

    said = message(lambda: jobs.run(mail, fresh=sent.clear, state=lambda: list(sent)))
    assert "the state is ['mail', 'mail'], undisturbed ['mail']" in said
    assert "killed before finish_step of send, in attempt 1" in said
