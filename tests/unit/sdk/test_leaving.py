"""How a job leaves: interrupted, by its own `sys.exit`, or with its last step done."""

import pytest

from resumable import Interrupted, Job, StepContext, job
from resumable.state.record import RunStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import status


def test_an_interruption_can_not_be_swallowed(store: SqlStore, effects: Effects) -> None:
    def stubborn(step: StepContext[int]) -> str:
        step._interruption.ask("SIGTERM")
        try:
            step.stop_if_asked()
        except BaseException:  # noqa: BLE001 - what it must withstand
            effects.append("swallowed")
        return "as if nothing had happened"

    @job("j")
    def swallow(j: Job) -> None:
        try:
            j.step("stubborn", stubborn)
        except BaseException:  # noqa: BLE001 - what it must withstand
            effects.append("swallowed again")

    with pytest.raises(Interrupted):
        swallow.run(store=store)
    assert effects == ["swallowed", "swallowed again"]
    assert store.list_steps("j") == ()
    assert status(store, "j") is RunStatus.INTERRUPTED


def test_an_exception_made_of_an_interruption_is_no_failure(store: SqlStore) -> None:
    def wraps(step: StepContext[int]) -> None:
        step._interruption.ask("SIGTERM")
        try:
            step.stop_if_asked()
        except BaseException as leaving:
            raise RuntimeError("connection lost") from leaving

    @job("j")
    def wrapped(j: Job) -> None:
        j.step("s", wraps)

    with pytest.raises(Interrupted):
        wrapped.run(store=store)
    assert store.list_steps("j") == ()


def test_a_step_that_finishes_after_it_was_asked_to_leave_is_done(store: SqlStore, effects: Effects) -> None:
    def last(step: StepContext[int]) -> int:
        effects.append("last")
        step._interruption.ask("SIGTERM")
        return 3

    @job("j")
    def stopped(j: Job) -> int:
        result = j.step("last", last)
        j.step("more", effects.of("more"))
        return result

    with pytest.raises(Interrupted):
        stopped.run(store=store)
    assert stopped.run(store=store) == 3
    assert effects == ["last", "more"]


def test_leaving_by_sys_exit_is_a_failure_not_an_end(store: SqlStore) -> None:
    @job("j")
    def leave(j: Job) -> None:
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        leave.run(store=store)
    assert status(store, "j") is RunStatus.PENDING
