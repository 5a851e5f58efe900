"""`j.result`, `j.replaying`, `j.log`: what a job sees of what was done before."""

import logging
from dataclasses import dataclass

import pytest

from resumable import AsyncJob, InvalidStep, Job, Retry, StepFailed, job
from resumable.state.record import RunStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects


@dataclass
class Customer:
    id: int


class Boom(Exception):
    pass


def create() -> Customer:
    return Customer(7)


def broken() -> None:
    raise ValueError("no")


def test_a_step_that_is_done_is_read_by_name_in_the_attempt_and_in_later_ones(store: SqlStore) -> None:
    seen: list[Customer | int | None] = []

    @job("j")
    def work(j: Job, fail: bool) -> None:
        j.step("create", create)
        j.step("nothing", lambda: None)
        j.map("double", lambda n: 2 * n, [3], key=lambda n: n)
        seen.extend((j.result("create", Customer), j.result("double", int, key=3), j.result("nothing")))
        if fail:
            raise Boom

    with pytest.raises(Boom):
        work.run({"fail": True}, store=store)
    work.run({"fail": False}, store=store)
    assert seen == [Customer(7), 6, None] * 2


def test_an_earlier_attempts_step_is_read_before_it_is_met_and_as_plain_json(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        if j.attempt == 2:
            assert j.result("create") == {"id": 7}
        j.step("create", create)
        if j.attempt == 1:
            raise Boom

    with pytest.raises(Boom):
        work.run(store=store)
    work.run(store=store)


def test_a_step_without_a_result_is_said_with_those_that_have_one(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        with pytest.raises(InvalidStep, match=r"step ship\[1\] has not finished, .*; finished: none yet"):
            j.result("ship", key=1)
        j.step("create", create)
        j.forget("create")
        with pytest.raises(InvalidStep, match="step create has not finished"):
            j.result("create")
        j.step("create", create)
        with pytest.raises(StepFailed):
            j.options(retry=Retry(max_attempts=1)).step("break", broken)
        with pytest.raises(InvalidStep, match="step break has not finished, so it has no result; finished: create"):
            j.result("break")
        if j.attempt == 1:
            raise Boom

    with pytest.raises(Boom):
        work.run(store=store)


def test_it_replays_until_it_has_met_all_that_was_done(store: SqlStore, effects: Effects) -> None:
    seen: list[bool] = []

    @job("j")
    def work(j: Job) -> None:
        seen.append(j.replaying)
        j.step("a", int)
        seen.append(j.replaying)
        j.step("b", int)
        seen.append(j.replaying)
        if j.attempt == 1:
            raise Boom

    with pytest.raises(Boom):
        work.run(store=store)
    assert seen == [False] * 3
    seen.clear()
    work.run(store=store)
    assert seen == [True, True, False]


def test_a_step_that_the_code_has_lost_ends_no_later_than_the_first_fresh_one(store: SqlStore) -> None:
    seen: list[bool] = []

    @job("j")
    def work(j: Job) -> None:
        if j.attempt == 1:
            j.step("lost", int)
            raise Boom
        seen.append(j.replaying)
        j.step("fresh", lambda: seen.append(j.replaying))
        seen.append(j.replaying)

    with pytest.raises(Boom):
        work.run(store=store)
    work.run(store=store)
    assert seen == [True, False, False]


def test_the_log_is_quiet_about_what_an_earlier_attempt_logged(
    store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    @job("import")
    def work(j: Job) -> None:
        j.log.info("begins")
        n = j.step("a", int)
        j.log.warning("between %d", n)
        j.step("b", int)
        if j.attempt == 1:
            raise Boom
        j.log.info("ends", extra={"rows": 5})

    with caplog.at_level(logging.INFO, logger="resumable.job.import"):
        with pytest.raises(Boom):
            work.run(store=store, id="r")
        work.run(store=store, id="r")
    lines = [record for record in caplog.records if record.name == "resumable.job.import"]
    assert [(line.getMessage(), line.__dict__["attempt"]) for line in lines] == [
        ("begins", 1),
        ("between 0", 1),
        ("ends", 2),
    ]
    assert (lines[-1].__dict__["run"], lines[-1].__dict__["rows"]) == ("r", 5)


def test_async_jobs_have_them_too(store: SqlStore) -> None:
    seen: list[object] = []

    @job("j")
    async def work(j: AsyncJob) -> None:
        seen.append(j.replaying)
        await j.step("create", create)
        seen.append(j.result("create", Customer))
        if j.attempt == 1:
            raise Boom

    with pytest.raises(Boom):
        work.run(store=store)
    work.run(store=store)
    assert seen == [False, Customer(7), True, Customer(7)]
    run = store.get_run("j")
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
