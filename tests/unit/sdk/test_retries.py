"""Steps with a retry policy, on a real SQLite in memory; each `run` is one attempt."""

from collections.abc import Callable

import pytest

from resumable import (
    Fatal,
    Interrupted,
    InvalidStep,
    Job,
    Paused,
    Retry,
    RunNotRunnable,
    StepContext,
    StepFailed,
    Waiting,
    job,
)
from resumable.state.record import EndKind, RunStatus, StepStatus
from resumable.state.sql.store import SqlStore
from tests.sdk.process import wait_for
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import go_on, run_of

AT_ONCE = Retry(max_attempts=3, initial="1ms")
LONG = Retry(max_attempts=3, initial="1h", maximum="1d", jitter=0)


class Refused(OSError):
    pass


def fails(effects: Effects, times: int, error: Exception | None = None) -> Callable[[], str]:
    def charge() -> str:
        effects.append("try")
        if effects.count("try") <= times:
            raise error or Refused("refused")
        return "paid"

    return charge


def test_a_step_is_tried_again_in_the_same_process(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> str:
        return j.options(retry=AT_ONCE).step("charge", fails(effects, 2))

    assert pay.run(store=store) == "paid"
    assert effects == ["try"] * 3
    assert run_of(store, "j").attempt == 1


def test_each_try_is_recorded(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> str:
        return j.options(retry=AT_ONCE).step("charge", fails(effects, 2))

    pay.run(store=store)
    tries = store.list_tries("j")
    assert [(each.number, each.outcome) for each in tries] == [(1, "Failed"), (2, "Failed"), (3, "Done")]
    assert tries[0].error.startswith("tests.unit.sdk.test_retries.Refused: refused")


def test_a_spent_policy_is_final_and_no_later_attempt_runs_the_step(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job, interrupted: bool) -> str:
        with pytest.raises(StepFailed) as failed:
            j.options(retry=AT_ONCE).step("charge", fails(effects, 99))
        if interrupted:
            assert isinstance(failed.value.__cause__, Refused)
            raise ValueError("the process ends here")
        return str(failed.value)

    with pytest.raises(ValueError, match="ends here"):
        pay.run({"interrupted": True}, store=store)
    again = pay.run({"interrupted": False}, store=store)
    assert effects == ["try"] * 3
    assert again.startswith(
        "step charge failed for good: tests.unit.sdk.test_retries.Refused: refused (test_retries.py:"
    )
    (step,) = store.list_steps("j")
    assert (step.status, step.final, step.failures) == (StepStatus.FAILED, True, 3)


def test_a_step_that_failed_for_good_fails_the_run_unless_it_is_caught(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> str:
        return j.options(retry=AT_ONCE).step("charge", fails(effects, 99))

    with pytest.raises(StepFailed):
        pay.run(store=store)
    run = run_of(store, "j")
    assert (run.status, run.reason) == (RunStatus.FAILED, "StepFailed")
    assert run.error.startswith("step charge failed for good: ")
    with pytest.raises(RunNotRunnable, match=r"is Failed \(StepFailed\)"):
        pay.run(store=store)


def test_fatal_is_final_at_once_with_and_without_a_policy(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> list[str]:
        said: list[str] = []
        for name, caller in (("plain", j), ("patient", j.options(retry=AT_ONCE))):
            with pytest.raises(StepFailed) as failed:
                caller.step(name, fails(effects, 99, Fatal("card has expired")))
            said.append(failed.value.error.partition(" (")[0])
        return said

    assert pay.run(store=store) == ["resumable.sdk.errors.Fatal: card has expired"] * 2
    assert effects == ["try", "try"]


def test_an_error_that_the_policy_does_not_name_is_final(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> None:
        with pytest.raises(StepFailed, match="bad row"):
            j.options(retry=Retry(on=OSError)).step("charge", fails(effects, 99, ValueError("bad row")))

    pay.run(store=store)
    assert effects == ["try"]


def test_a_long_wait_ends_the_process_and_the_next_attempt_counts_on(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> str:
        return j.options(retry=LONG).step("charge", fails(effects, 99))

    with pytest.raises(Waiting, match=r"step charge: try 1 of 3 failed: .*refused"):
        pay.run(store=store)
    run = run_of(store, "j")
    assert (run.status, run.reason) == (RunStatus.WAITING, "RetryBackOff")
    view = store.view("j")
    assert view is not None
    assert run.wake_at is not None
    assert 3590 < (run.wake_at - view.now).total_seconds() <= 3600
    assert view.attempts[-1].end_kind is EndKind.COMPLETION
    (step,) = store.list_steps("j")
    assert (step.status, step.failures, step.final) == (StepStatus.FAILED, 1, False)
    assert step.retry_at is not None


def test_a_run_that_is_woken_too_early_waits_for_the_rest(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> str:
        return j.options(retry=LONG).step("charge", fails(effects, 99))

    with pytest.raises(Waiting):
        pay.run(store=store)
    due = run_of(store, "j").wake_at
    go_on(store, "j")
    with pytest.raises(Waiting):
        pay.run(store=store)
    again = run_of(store, "j").wake_at
    assert effects == ["try"]
    assert due is not None
    assert again is not None
    assert abs((again - due).total_seconds()) < 1


def test_a_longer_hold_waits_in_the_process(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job, hold: str) -> str:
        retry = Retry(initial="200ms", jitter=0, hold=hold)
        return j.options(retry=retry).step("charge", fails(effects, 1))

    with pytest.raises(Waiting):
        pay.run({"hold": "100ms"}, store=store)
    go_on(store, "j")
    assert pay.run({"hold": "1s"}, store=store) == "paid"


def test_a_job_that_is_asked_to_leave_while_it_waits_leaves_and_counts_on(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> str:
        return j.options(retry=Retry(max_attempts=2, initial="20s")).step("charge", fails(effects, 99))

    running = pay.start(store=store)
    wait_for(lambda: bool(store.list_steps("j")), "the first failure is recorded")
    running.stop()
    with pytest.raises(Interrupted):
        running.result(timeout=10)
    (step,) = store.list_steps("j")
    assert (step.failures, step.final) == (1, False)
    assert effects == ["try"]


def test_a_policy_by_hand_pauses_the_run_until_a_person_acts(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> str:
        return j.options(retry=Retry.manual()).step("charge", fails(effects, 2))

    for _ in range(2):
        with pytest.raises(Paused, match=r"step charge failed: .*refused .* it waits for a person"):
            pay.run(store=store)
        run = run_of(store, "j")
        assert (run.status, run.reason) == (RunStatus.PAUSED, "StepFailed")
        with pytest.raises(RunNotRunnable, match=r"is Paused \(StepFailed\)"):
            pay.run(store=store)
        go_on(store, "j")
    assert pay.run(store=store) == "paid"
    assert effects == ["try"] * 3


def test_an_except_in_the_job_does_not_swallow_the_pause(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> str:
        try:
            return j.options(retry=Retry.manual()).step("charge", fails(effects, 9))
        except BaseException:  # noqa: BLE001 - the mistake that this is about
            return "swallowed"

    with pytest.raises(Paused):
        pay.run(store=store)


def test_fatal_outside_steps_fails_the_run_for_good(store: SqlStore) -> None:
    @job("j")
    def pay(j: Job) -> None:
        raise Fatal("there is nothing to pay")

    with pytest.raises(Fatal):
        pay.run(store=store)
    run = run_of(store, "j")
    assert (run.status, run.reason) == (RunStatus.FAILED, "Fatal")


def test_a_policy_that_is_none_is_refused(store: SqlStore) -> None:
    @job("j")
    def pay(j: Job) -> None:
        j.options(retry=5)  # type: ignore[arg-type]

    with pytest.raises(InvalidStep, match=r"retry= takes a Retry, as in Retry\(max_attempts=5\), not 5"):
        pay.run(store=store)


def test_the_next_try_goes_on_from_the_saved_cursor(store: SqlStore, effects: Effects) -> None:
    def rows(step: StepContext[int]) -> int:
        for n in range(step.cursor or 0, 4):
            effects.append(f"row {n}")
            step.save(n + 1)
            if effects == ["row 0", "row 1"]:
                raise Refused
        return step.cursor or 0

    @job("j")
    def imports(j: Job) -> int:
        return j.options(retry=AT_ONCE).step("import", rows)

    assert imports.run(store=store) == 4
    assert effects == ["row 0", "row 1", "row 2", "row 3"]


def test_tries_are_counted_over_all_attempts(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def pay(j: Job) -> None:
        policy = Retry(max_attempts=3, initial="50ms", factor=1, hold="0s")
        j.options(retry=policy).step("charge", fails(effects, 99))

    def is_due() -> bool:
        view = store.view("j")
        return view is not None and view.run.wake_at is not None and view.now >= view.run.wake_at

    for _ in range(2):
        with pytest.raises(Waiting):
            pay.run(store=store)
        wait_for(is_due, "the time of the next try")
    with pytest.raises(StepFailed):
        pay.run(store=store)
    assert effects == ["try"] * 3


def test_the_next_try_finds_the_files_of_the_last_checkpoint(
    store: SqlStore,
) -> None:
    def train(step: StepContext[int]) -> str:
        if step.restored is not None:
            return (step.restored / "weights").read_text()
        with step.checkpoint(cursor=1) as folder:
            (folder / "weights").write_text("0.7")
        raise Refused

    @job("j")
    def trains(j: Job) -> str:
        return j.options(retry=AT_ONCE).step("train", train)

    assert trains.run(store=store) == "0.7"
