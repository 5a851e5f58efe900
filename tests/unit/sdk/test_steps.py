"""Jobs run in this process on a real SQLite in memory; each `run` is one attempt."""

from dataclasses import dataclass
from typing import Any

import pytest

from resumable import (
    DuplicateStep,
    Interrupted,
    InvalidInput,
    InvalidStep,
    Job,
    JobDefinitionError,
    RunNotRunnable,
    StepContext,
    UnreadableResult,
    UnstorableResult,
    job,
)
from resumable.state.record import EndKind, RunStatus, StepStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import status


class Boom(Exception):
    pass


@dataclass
class Customer:
    id: int


def test_a_finished_step_is_not_run_again(store: SqlStore, effects: Effects) -> None:
    def create(id: int) -> Customer:
        effects.append("create")
        return Customer(id)

    @job("j")
    def provision(j: Job, fail: bool) -> int:
        customer = j.step("create", create, 7)
        if fail:
            raise Boom
        return customer.id

    with pytest.raises(Boom):
        provision.run({"fail": True}, store=store)
    assert provision.run({"fail": False}, store=store) == 7
    assert effects == ["create"]


def test_code_outside_steps_runs_again_in_each_attempt(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def twice(j: Job) -> None:
        effects.append("outside")
        j.step("s", effects.of("inside"))
        if effects.count("outside") == 1:
            raise Boom

    with pytest.raises(Boom):
        twice.run(store=store)
    twice.run(store=store)
    assert effects == ["outside", "inside", "outside"]


def test_a_finished_run_returns_its_stored_result_and_runs_nothing(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def once(j: Job) -> tuple[int, str]:
        return (j.step("s", effects.of("s", 1)), "a")

    assert once.run(store=store) == (1, "a")
    assert once.run(store=store) == (1, "a")
    assert effects == ["s"]
    assert status(store, "j") is RunStatus.SUCCEEDED


def test_runs_with_different_ids_know_nothing_of_each_other(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def once(j: Job) -> str:
        j.step("s", effects.of(j.run_id))
        return j.run_id

    assert once.run(id="a", store=store) == "a"
    assert once.run(id="b", store=store) == "b"
    assert effects == ["a", "b"]


def test_a_loop_gives_each_pass_a_key(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def ship(j: Job, fail_at: int | None) -> None:
        for n in range(3):
            if n == fail_at:
                raise Boom
            j.options(key=n).step("ship", effects.of(f"ship {n}"))

    with pytest.raises(Boom):
        ship.run({"fail_at": 2}, store=store)
    ship.run({"fail_at": None}, store=store)
    assert effects == ["ship 0", "ship 1", "ship 2"]


def test_a_name_met_twice_without_a_key_is_an_error_not_the_first_result(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def ship(j: Job) -> None:
        for n in range(2):
            j.step("ship", effects.of(f"ship {n}"))

    with pytest.raises(DuplicateStep, match=r"'ship' was met twice; .*j\.options\(key=item\.id\)"):
        ship.run(store=store)
    with pytest.raises(DuplicateStep):
        ship.run(store=store)
    assert effects == ["ship 0"]


def test_a_key_met_twice_is_an_error_too(store: SqlStore) -> None:
    @job("j")
    def ship(j: Job) -> None:
        for _ in range(2):
            j.options(key="a").step("ship", int)

    with pytest.raises(DuplicateStep, match="with the key 'a'"):
        ship.run(store=store)


def test_a_failing_step_is_recorded_and_its_exception_passes_on(store: SqlStore) -> None:
    def charge() -> None:
        raise ValueError("card refused")

    @job("j")
    def pay(j: Job) -> str:
        try:
            j.step("charge", charge)
        except ValueError:
            return "unpaid"
        return "paid"

    assert pay.run(store=store) == "unpaid"
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.FAILED
    assert step.error.startswith("ValueError: card refused (test_steps.py:")
    assert step.error.endswith("in charge)")


def test_a_failed_step_runs_again_in_the_next_attempt(store: SqlStore, effects: Effects) -> None:
    def flaky() -> int:
        effects.append("try")
        if len(effects) == 1:
            raise Boom
        return 5

    @job("j")
    def retry(j: Job) -> int:
        return j.step("flaky", flaky)

    with pytest.raises(Boom):
        retry.run(store=store)
    assert status(store, "j") is RunStatus.PENDING
    assert retry.run(store=store) == 5
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.DONE
    view = store.view("j")
    assert view is not None
    assert [attempt.end_kind for attempt in view.attempts] == [EndKind.FAILURE, EndKind.COMPLETION]


def test_a_result_that_can_not_be_stored_fails_the_step_at_once(store: SqlStore) -> None:
    @job("j")
    def wrong(j: Job) -> None:
        j.step("load", lambda: {1, 2})

    with pytest.raises(UnstorableResult, match=r"step 'load': the result \(set\) would come back changed"):
        wrong.run(store=store)
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.FAILED


def test_the_limit_of_a_result_can_be_raised_for_a_step(store: SqlStore) -> None:
    def large() -> str:
        return "a" * 1000

    @job("j", max_result_bytes=100)
    def limits(j: Job) -> int:
        with pytest.raises(UnstorableResult, match=r"step 'one': .* the limit is 100 "):
            j.step("one", large)
        return len(j.options(max_result_bytes=2000).step("two", large))

    assert limits.run(store=store) == 1000


def test_a_stored_result_that_the_code_no_longer_understands_is_said_so(store: SqlStore, effects: Effects) -> None:
    def old() -> str:
        return "text"

    def new() -> int:
        return 1

    @job("j")
    def changed(j: Job, version: int) -> None:
        j.step("s", old if version == 1 else new)
        raise Boom

    with pytest.raises(Boom):
        changed.run({"version": 1}, store=store)
    with pytest.raises(UnreadableResult, match=r"step 's': the result was stored by an earlier attempt"):
        changed.run({"version": 2}, store=store)


@pytest.mark.parametrize("name", ["", "x" * 201, 5])
def test_a_name_that_is_none_is_refused(store: SqlStore, name: Any) -> None:
    @job("j")
    def wrong(j: Job) -> None:
        j.step(name, int)

    with pytest.raises(InvalidStep, match="a step's name is a text of 1 to 200 characters"):
        wrong.run(store=store)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"renamed_from": 5}, "renamed_from=: a step's name is a text of 1 to 200 characters, not 5"),
        ({"max_result_bytes": "1MB"}, "max_result_bytes= is a number of bytes, 1 or more, not '1MB'"),
    ],
)
def test_options_that_are_none_are_refused(store: SqlStore, options: dict[str, Any], said: str) -> None:
    @job("j")
    def wrong(j: Job) -> None:
        j.options(**options).step("s", int)

    with pytest.raises(InvalidStep, match=said):
        wrong.run(store=store)


def test_a_result_in_place_of_a_function_is_refused(store: SqlStore) -> None:
    @job("j")
    def wrong(j: Job) -> None:
        j.step("s", 5)  # type: ignore[call-overload]

    with pytest.raises(InvalidStep, match="give the function and its arguments"):
        wrong.run(store=store)


def test_an_async_function_is_refused(store: SqlStore) -> None:
    async def fetch() -> int:
        return 1

    @job("j")
    def wrong(j: Job) -> None:
        j.step("s", fetch)

    with pytest.raises(InvalidStep, match="async"):
        wrong.run(store=store)


def test_arguments_named_like_our_options_go_to_the_function(store: SqlStore) -> None:
    def greet(name: str, key: str, fn: str) -> str:
        return name + key + fn

    @job("j")
    def greeting(j: Job) -> str:
        return j.step("greet", greet, name="a", key="b", fn="c")

    assert greeting.run(store=store) == "abc"


def test_the_payload_is_shared_by_all_steps_and_attempts(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> dict[str, int]:
        def create() -> None:
            effects.append("create")
            j.payload["customer"] = 7

        j.step("create", create)
        if "again" not in effects:
            effects.append("again")
            raise Boom
        return dict(j.payload)

    with pytest.raises(Boom):
        pay.run(store=store)
    assert pay.run(store=store) == {"customer": 7}
    assert effects == ["create", "again"]


def test_wrong_input_is_refused_before_anything_runs(store: SqlStore) -> None:
    @job("j")
    def pay(j: Job, amount: int) -> None: ...

    with pytest.raises(InvalidInput, match="has no parameter 'amuont'; it takes: amount"):
        pay.run({"amuont": 5}, store=store)
    assert store.get_run("j") is None


def test_stored_input_that_does_not_fit_ends_the_run_at_once(store: SqlStore) -> None:
    @job("j")
    def pay(j: Job, amount: int) -> None: ...

    with pytest.raises(InvalidInput, match="needs the input 'amount'"):
        pay.run(store=store)
    run = store.get_run("j")
    assert run is not None
    assert (run.status, run.reason) == (RunStatus.FAILED, "InvalidInput")
    with pytest.raises(RunNotRunnable, match=r"'j' is Failed \(InvalidInput\): job 'j' needs the input 'amount'"):
        pay.run(store=store)


def test_the_input_is_kept_for_the_next_attempt(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job, amount: int) -> int:
        effects.append("x")
        if len(effects) == 1:
            raise Boom
        return amount

    with pytest.raises(Boom):
        pay.run({"amount": 5}, store=store)
    assert pay.run(store=store) == 5


def test_an_id_that_is_another_jobs_is_refused(store: SqlStore) -> None:
    @job("one")
    def one(j: Job) -> None: ...

    @job("two")
    def two(j: Job) -> None: ...

    one.run(id="x", store=store)
    with pytest.raises(RunNotRunnable, match="is one of job 'one', not of 'two'"):
        two.run(id="x", store=store)


def test_a_handle_waits_stops_and_returns(store: SqlStore) -> None:
    def wait(step: StepContext[int]) -> None:
        while True:
            step.stop_if_asked()

    @job("j")
    def endless(j: Job) -> int:
        if j.attempt == 1:
            j.step("wait", wait)
        return j.attempt

    running = endless.start(store=store)
    assert not running.done
    running.stop()
    with pytest.raises(Interrupted):
        running.result(timeout=10)
    assert endless.start(store=store).result(timeout=10) == 2


def test_an_async_job_is_refused_when_it_is_defined() -> None:
    with pytest.raises(JobDefinitionError, match="async"):

        @job("j")
        async def wrong(j: Job) -> None: ...


def test_a_job_without_a_first_parameter_is_refused_when_it_is_defined() -> None:
    with pytest.raises(JobDefinitionError, match="first parameter"):

        @job("j")  # type: ignore[arg-type]
        def wrong() -> None: ...


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"version": 3}, r'job \'j\': version= is a text, as in version="3", not 3'),
        ({"max_result_bytes": "1MB"}, "job 'j': max_result_bytes= is a number of bytes, 1 or more, not '1MB'"),
        ({"max_payload_bytes": 0}, "job 'j': max_payload_bytes= is a number of bytes, 1 or more, not 0"),
    ],
)
def test_options_of_a_job_that_are_none_are_refused_when_it_is_defined(options: dict[str, Any], said: str) -> None:
    with pytest.raises(JobDefinitionError, match=said):
        job("j", **options)
