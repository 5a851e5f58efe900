"""At-most-once steps, on a real SQLite in memory. A begun attempt without an end stands for a killed process."""

import threading
from typing import Any

import pytest

from resumable import Fatal, InvalidStep, Job, Paused, Retry, StepFailed, UnstorableResult, job
from resumable.sdk.effects import AT_MOST_ONCE, left_unknown
from resumable.state.record import RunStatus, Step, StepStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import begin, go_on, mint, run_of


def killed_in(store: SqlStore, name: str, key: str = "") -> None:
    """An attempt of run "r" that recorded the step's start and was killed."""
    attempt = begin(store, mint(store))
    attempt.start_step(attempt.enter(name, key), effect=AT_MOST_ONCE)


def test_its_start_is_on_record_before_it_runs(store: SqlStore) -> None:
    def charge() -> str:
        (step,) = store.list_steps("j")
        assert (step.status, step.effect) == (StepStatus.STARTED, "at-most-once")
        return "paid"

    @job("j")
    def pay(j: Job) -> str:
        return j.options(effect="at-most-once").step("charge", charge)

    assert pay.run(store=store) == "paid"
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.DONE


def test_a_start_without_an_end_pauses_the_run_until_a_person_has_found_out(store: SqlStore, effects: Effects) -> None:
    @job("job")
    def pay(j: Job) -> None:
        j.options(effect="at-most-once", key=7).step("charge", effects.of("charge"))

    killed_in(store, "charge", "7")
    said = (
        r"step charge\[7\] runs at most once, and whether it took effect is unknown: attempt 1 ended while it ran\."
        r" Find out\. If it did not, let it run again: resumable restart job --forget charge=7 \(or spec"
    )
    for _ in range(2):  # unpausing alone answers nothing
        with pytest.raises(Paused, match=said):
            pay.run(id="r", store=store)
        run = run_of(store)
        assert (run.status, run.reason) == (RunStatus.PAUSED, "UnknownEffect")
        go_on(store)
    assert effects == []


def test_a_step_that_was_forgotten_runs_again(store: SqlStore, effects: Effects) -> None:
    @job("job")
    def pay(j: Job) -> None:
        j.forget("charge")
        j.options(effect="at-most-once").step("charge", effects.of("charge"))

    killed_in(store, "charge")
    pay.run(id="r", store=store)
    assert effects == ["charge"]


def test_skip_takes_it_as_done_and_the_record_says_why(store: SqlStore, effects: Effects) -> None:
    @job("job")
    def pay(j: Job) -> bool:
        return j.options(effect="at-most-once", on_unknown="skip").step("charge", effects.of("charge", 5)) is None

    killed_in(store, "charge")
    assert pay.run(id="r", store=store)
    (step,) = store.list_steps("r")
    assert step.status is StepStatus.DONE
    assert step.progress_message == "skipped, its effect is unknown: attempt 1 ended while it ran"
    assert effects == []


def test_retry_runs_it_again(store: SqlStore, effects: Effects) -> None:
    @job("job")
    def pay(j: Job) -> int:
        return j.options(effect="at-most-once", on_unknown="retry").step("charge", effects.of("charge", 5))

    killed_in(store, "charge")
    assert pay.run(id="r", store=store) == 5
    assert effects == ["charge"]


def test_a_failure_without_a_policy_is_unknown_too(store: SqlStore, effects: Effects) -> None:
    def charge() -> None:
        effects.append("charge")
        raise ConnectionError("lost after the request was sent")

    @job("j")
    def pay(j: Job) -> None:
        j.options(effect="at-most-once").step("charge", charge)

    with pytest.raises(ConnectionError):
        pay.run(store=store)
    with pytest.raises(Paused, match=r"unknown: it failed in attempt 1: ConnectionError: lost after"):
        pay.run(store=store)
    assert effects == ["charge"]


def test_a_policy_says_which_failures_are_safe_to_repeat(store: SqlStore, effects: Effects) -> None:
    def charge() -> str:
        effects.append("charge")
        if len(effects) == 1:
            raise ConnectionRefusedError("never sent")
        raise ConnectionResetError("lost after the request was sent")

    @job("j")
    def pay(j: Job) -> None:
        policy = Retry(on=ConnectionRefusedError, initial="1ms")
        with pytest.raises(StepFailed, match="lost after"):
            j.options(effect="at-most-once", retry=policy).step("charge", charge)

    pay.run(store=store)
    assert effects == ["charge", "charge"]


def test_a_timeout_is_unknown_whatever_the_policy(store: SqlStore, effects: Effects) -> None:
    stuck = threading.Event()

    def charge() -> None:
        effects.append("charge")
        stuck.wait(30)

    @job("j")
    def pay(j: Job) -> None:
        j.options(effect="at-most-once", timeout="50ms", retry=Retry(initial="1ms")).step("charge", charge)

    with pytest.raises(Paused, match=r"unknown: step charge did not end within 0\.05s"):
        pay.run(store=store)
    stuck.set()
    assert effects == ["charge"]
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.STARTED


def no_lifetime(_: object) -> str:
    raise AttributeError("lifetime")


@pytest.mark.parametrize(
    ("result", "options", "error"),
    [
        (object(), {}, UnstorableResult),
        (5, {"keep": no_lifetime}, AttributeError),
        (SystemExit(3), {}, SystemExit),
    ],
)
def test_no_policy_repeats_what_it_does_not_name(
    store: SqlStore, effects: Effects, result: object, options: dict[str, Any], error: type[BaseException]
) -> None:
    def charge() -> object:
        effects.append("charge")
        if isinstance(result, SystemExit):
            raise result
        return result

    @job("j")
    def pay(j: Job) -> None:
        j.options(effect="at-most-once", retry=Retry(initial="1ms"), **options).step("charge", charge)

    with pytest.raises(error):
        pay.run(store=store)
    with pytest.raises(Paused, match="unknown: attempt 1 ended while it ran"):
        pay.run(store=store)
    assert effects == ["charge"]


def test_what_comes_after_the_function_is_nothing_to_try_again(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> None:
        j.options(retry=Retry(max_attempts=2, initial="1ms"), keep=no_lifetime).step("charge", effects.of("charge"))

    for _ in range(3):  # a policy would have given up for good
        with pytest.raises(AttributeError, match="lifetime"):
            pay.run(store=store)


@pytest.mark.parametrize("stop", [False, True], ids=["at once", "after an interruption"])
def test_what_was_skipped_is_undone_with_the_result_none(store: SqlStore, effects: Effects, stop: bool) -> None:
    undone: list[object] = []

    def fail() -> None:
        if stop:
            raise OSError("not yet")
        raise Fatal("no stock")

    @job("job")
    def pay(j: Job) -> None:
        said = j.options(effect="at-most-once", on_unknown="skip", compensate=undone.append)
        said.step("charge", effects.of("charge", 5))
        j.step("fail", fail)

    killed_in(store, "charge")
    if stop:
        with pytest.raises(OSError, match="not yet"):
            pay.run(id="r", store=store)
        stop = False
    with pytest.raises(StepFailed):
        pay.run(id="r", store=store)
    assert (undone, effects) == ([None], [])


@pytest.mark.parametrize(
    ("status", "final", "retry", "known"),
    [
        (StepStatus.STARTED, False, None, False),
        (StepStatus.STARTED, False, Retry(), False),
        (StepStatus.FAILED, False, None, False),
        (StepStatus.FAILED, False, Retry(), True),
        (StepStatus.FAILED, True, None, True),
    ],
)
def test_what_is_known_of_a_step_that_was_left(
    status: StepStatus, final: bool, retry: Retry | None, known: bool
) -> None:
    stored = Step(name="s", status=status, attempt=3, final=final)
    assert (left_unknown(stored, retry) == "") is known


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"effect": "once"}, r'effect= is "at-least-once" \(the default\) or "at-most-once", not \'once\''),
        ({"effect": "at-most-once", "on_unknown": "fail"}, r'on_unknown= is "ask" \(the default\), "skip" or "retry"'),
        ({"on_unknown": "skip"}, r"on_unknown='skip' says nothing without effect"),
    ],
)
def test_options_that_can_not_be_are_refused(store: SqlStore, options: dict[str, Any], said: str) -> None:
    @job("j")
    def pay(j: Job) -> None:
        j.options(**options)

    with pytest.raises(InvalidStep, match=said):
        pay.run(store=store)
