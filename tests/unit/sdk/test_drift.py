"""Code that is another one in the next attempt: it resumes by name, and the log says what was noticed."""

import logging
from collections.abc import Callable

import pytest

from resumable import DuplicateStep, InvalidStep, Job, StepContext, job
from resumable.sdk.drift import Drift
from resumable.state.record import Step, StepStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects


class Boom(Exception):
    pass


def attempt(
    store: SqlStore, *names: str, fail: bool = False, effects: Effects, options: dict[str, str] | None = None
) -> list[int]:
    """One attempt of a job whose steps are these, in this order. `name/key` for one with a key."""

    @job("j")
    def steps(j: Job) -> list[int]:
        results = []
        for n, text in enumerate(names):
            name, _, key = text.partition("/")
            caller = j.options(key=key or None, renamed_from=(options or {}).get(text, ""))
            results.append(caller.step(name, effects.of(text, n)))
        if fail:
            raise Boom
        return results

    if fail:
        with pytest.raises(Boom):
            steps.run(store=store)
        return []
    return steps.run(store=store)


@pytest.fixture
def notices(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, logger="resumable")
    return lambda: [
        record.getMessage().removeprefix("drift: ") for record in caplog.records if "drift:" in record.getMessage()
    ]


def test_the_same_code_says_nothing(store: SqlStore, effects: Effects, notices: Callable[[], list[str]]) -> None:
    attempt(store, "a", "b/1", "b/2", fail=True, effects=effects)
    attempt(store, "a", "b/1", "b/2", "c", effects=effects)
    assert effects == ["a", "b/1", "b/2", "c"]
    assert notices() == []


def test_a_lost_step_is_named_at_the_end(store: SqlStore, effects: Effects, notices: Callable[[], list[str]]) -> None:
    attempt(store, "a", "b", "c", fail=True, effects=effects)
    attempt(store, "a", "c", "d", effects=effects)
    assert effects == ["a", "b", "c", "d"]
    (notice,) = notices()
    assert notice.startswith("b: stored by an earlier attempt and not met by the code as it is now")
    assert "renamed_from='b'" in notice


def test_a_new_step_before_finished_ones_runs_and_is_named(
    store: SqlStore, effects: Effects, notices: Callable[[], list[str]]
) -> None:
    attempt(store, "a", "b", "c", fail=True, effects=effects)
    assert attempt(store, "a", "new", "b", "c", effects=effects) == [0, 1, 1, 2]
    assert effects == ["a", "b", "c", "new"]
    assert notices() == ["step new is new and runs now; done before it already, and not run again: b, c"]


def test_steps_in_another_order_are_taken_by_name_and_it_is_said_once(
    store: SqlStore, effects: Effects, notices: Callable[[], list[str]]
) -> None:
    attempt(store, "a", "b", "c", fail=True, effects=effects)
    assert attempt(store, "c", "b", "a", effects=effects) == [2, 1, 0]
    assert effects == ["a", "b", "c"]
    assert notices() == ["step b comes after c now, and came before it when they were stored; both are taken by name"]


def test_items_of_a_loop_that_come_and_go_in_any_order_are_data_not_code(
    store: SqlStore, effects: Effects, notices: Callable[[], list[str]]
) -> None:
    attempt(store, "a", "ship/1", "ship/2", "ship/3", fail=True, effects=effects)
    attempt(store, "a", "ship/4", "ship/3", "ship/2", "ship/1", effects=effects)
    assert effects == ["a", "ship/1", "ship/2", "ship/3", "ship/4"]
    assert notices() == []


def test_a_renamed_step_keeps_its_result(store: SqlStore, effects: Effects, notices: Callable[[], list[str]]) -> None:
    attempt(store, "a", "old", "ship/1", fail=True, effects=effects)
    renamed = {"new": "old", "send/1": "ship", "send/2": "ship"}
    assert attempt(store, "a", "new", "send/1", "send/2", effects=effects, options=renamed) == [0, 1, 2, 3]
    assert effects == ["a", "old", "ship/1", "send/2"]
    assert notices() == []


def test_a_renamed_step_goes_on_from_its_cursor(store: SqlStore, effects: Effects) -> None:
    def load(step: StepContext[int]) -> int | None:
        effects.append(f"from {step.cursor}")
        if step.cursor is None:
            step.save(5)
            raise Boom
        return step.cursor

    @job("j")
    def before(j: Job) -> int | None:
        return j.step("load", load)

    @job("j")
    def after(j: Job) -> int | None:
        return j.options(renamed_from="load").step("import", load)

    with pytest.raises(Boom):
        before.run(store=store)
    assert after.run(store=store) == 5
    assert effects == ["from None", "from 5"]
    assert [step.name for step in store.list_steps("j")] == ["import"], "none is left that would be shown as running"


@pytest.mark.parametrize("names", [("new", "old"), ("old", "new")])
def test_a_step_is_not_renamed_from_one_that_is_still_there(
    store: SqlStore, effects: Effects, names: tuple[str, str]
) -> None:
    with pytest.raises(InvalidStep, match=r"step 'new' says renamed_from='old', but the job still has"):
        attempt(store, *names, effects=effects, options={"new": "old"})


def test_a_name_met_twice_is_still_an_error_when_it_was_renamed(store: SqlStore, effects: Effects) -> None:
    with pytest.raises(DuplicateStep):
        attempt(store, "new", "new", effects=effects, options={"new": "old"})


def test_what_runs_at_the_same_time_has_no_order(notices: Callable[[], list[str]]) -> None:
    done = [Step(name=name, ordinal=n, status=StepStatus.DONE, attempt=1) for n, name in enumerate("abc", 1)]
    drift = Drift(done)
    drift.ignore_order()
    for n, name in enumerate("cxba", 1):
        drift.met((name, ""), n)
    drift.tell_never_met()
    assert notices() == []


def test_many_lost_steps_are_counted(notices: Callable[[], list[str]]) -> None:
    drift = Drift(Step(name="ship", key=str(n), ordinal=n, status=StepStatus.DONE, attempt=1) for n in range(2000))
    drift.tell_never_met()
    (notice,) = notices()
    assert notice.startswith("ship[0], ship[1], ship[2], ship[3], ship[4] and 1,995 more: stored")
