"""How long results are kept, and `forget`, on a real SQLite; each `run` is one attempt."""

from datetime import timedelta
from typing import Any

import pytest

from resumable import InvalidStep, Job, JobDefinitionError, ResultExpired, StepContext, job
from resumable.sdk.retention import FOREVER, KEPT_FOREVER, Keep, Retention, retention, run_kept_ms
from resumable.state.record import StepStatus
from resumable.state.sql.store import SqlStore
from tests.sdk.process import wait_for
from tests.unit.sdk.effects import Effects


class Boom(Exception):
    pass


def expired(store: SqlStore, name: str = "token") -> None:
    """Wait until the step's result is kept no longer, by the store's clock."""
    (step,) = [step for step in store.list_steps("j") if step.name == name]
    expires = step.expires
    assert expires is not None
    wait_for(lambda: store.info().now >= expires, "the result to expire")


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("forever", KEPT_FOREVER),
        ("until-done", Retention(until_done=True)),
        ("7d", Retention(expires_after_ms=7 * 86_400_000)),
        (timedelta(seconds=1.5), Retention(expires_after_ms=1500)),
    ],
)
def test_keep_says_how_long(keep: Keep, expected: Retention) -> None:
    assert retention(keep, of="") == expected
    assert retention(lambda result: result, keep, of="") == expected


@pytest.mark.parametrize("keep", ["for a while", "0s", timedelta(seconds=-1), 5])
def test_anything_else_is_refused(store: SqlStore, keep: Any) -> None:
    with pytest.raises(InvalidStep, match="keep= is 'forever', 'until-done' or a duration"):
        retention(keep, of="")
    with pytest.raises(JobDefinitionError, match="job 'j': keep= is 'forever' or a duration"):
        job("j", keep=keep)(lambda j: None)


def test_a_run_is_kept_for_ever_or_for_a_time() -> None:
    assert run_kept_ms("j", FOREVER) is None
    assert run_kept_ms("j", "30d") == 30 * 86_400_000


def test_a_result_that_is_kept_no_longer_makes_its_step_run_again(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def log_in(j: Job) -> int:
        token: int = j.options(keep="50ms").step("token", effects.of("token", len(effects)))
        j.step("use", effects.of(f"use {token}"))
        if len(effects) < 3:
            raise Boom
        return token

    with pytest.raises(Boom):
        log_in.run(store=store)
    expired(store)
    assert log_in.run(store=store) == 2
    assert effects == ["token", "use 0", "token"]
    assert [step.status for step in store.list_steps("j")] == [StepStatus.DONE] * 2


def test_within_its_time_a_result_is_replayed(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def log_in(j: Job, fail: bool) -> None:
        j.options(keep="1h").step("token", effects.of("token"))
        if fail:
            raise Boom

    with pytest.raises(Boom):
        log_in.run({"fail": True}, store=store)
    log_in.run({"fail": False}, store=store)
    assert effects == ["token"]


def test_or_it_is_an_error_when_the_step_says_so(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def log_in(j: Job) -> None:
        j.options(keep="50ms", on_expired="fail").step("token", effects.of("token"))
        raise Boom

    with pytest.raises(Boom):
        log_in.run(store=store)
    expired(store)
    with pytest.raises(ResultExpired, match=r"step token is done, but its result was kept only until .* UTC; keep it"):
        log_in.run(store=store)
    assert effects == ["token"]


def test_the_result_may_say_how_long_it_is_kept(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def log_in(j: Job) -> None:
        for seconds in (1, 1000):
            j.options(key=seconds, keep=lambda s: timedelta(seconds=s)).step("token", lambda s: s, seconds)
        raise Boom

    with pytest.raises(Boom):
        log_in.run(store=store)
    kept = {step.key: step.expires - step.finished for step in store.list_steps("j") if step.expires and step.finished}
    assert kept == {"1": timedelta(seconds=1), "1000": timedelta(seconds=1000)}


def test_a_function_that_says_nonsense_fails_the_step(store: SqlStore) -> None:
    @job("j")
    def log_in(j: Job) -> None:
        j.options(keep=lambda result: result).step("token", lambda: "a while")

    with pytest.raises(InvalidStep, match=r"step 'token': keep= is .* \(it is what keep= returned\)"):
        log_in.run(store=store)
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.FAILED


def test_until_done_keeps_it_until_the_run_has_succeeded(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def work(j: Job, fail: bool) -> None:
        j.options(keep="until-done").step("rows", effects.of("rows", [1, 2, 3]))
        j.step("total", effects.of("total", 6))
        if fail:
            raise Boom

    with pytest.raises(Boom):
        work.run({"fail": True}, store=store)
    assert [step.result is None for step in store.list_steps("j")] == [False, False]
    work.run({"fail": False}, store=store)
    assert effects == ["rows", "total"]
    assert [step.result is None for step in store.list_steps("j")] == [True, False]


def test_the_record_of_a_finished_run_goes_when_its_time_is_over(store: SqlStore, effects: Effects) -> None:
    @job("j", keep="50ms")
    def short(j: Job, fail: bool) -> None:
        j.step("s", effects.of("s"))
        if fail:
            raise Boom

    with pytest.raises(Boom):
        short.run({"fail": True}, store=store)
    run = store.get_run("j")
    assert run is not None
    assert run.expires is None, "a run that is not over stays"
    short.run({"fail": False}, store=store)
    run = store.get_run("j")
    assert run is not None
    expires = run.expires
    assert expires is not None
    wait_for(lambda: store.info().now >= expires, "the run to expire")
    store.collect()
    assert store.get_run("j") is None


# Forget


def test_a_forgotten_step_runs_again_in_the_same_attempt(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def renew(j: Job) -> list[int]:
        first = j.step("token", effects.of("token", 1))
        j.forget("token")
        second = j.step("token", effects.of("token", 2))
        j.step("after", effects.of("after"))
        return [first, second]

    assert renew.run(store=store) == [1, 2]
    assert effects == ["token", "token", "after"]
    assert [step.name for step in store.list_steps("j")] == ["token", "after"]


def test_forgetting_is_durable_and_takes_the_cursor_with_it(store: SqlStore, effects: Effects) -> None:
    def load(step: StepContext[int]) -> None:
        effects.append(f"from {step.cursor}")
        step.save(7)
        if len(effects) < 3:
            raise Boom

    @job("j")
    def importing(j: Job, forget: bool) -> None:
        if forget:
            j.forget("load", key="a")
        j.options(key="a").step("load", load)

    with pytest.raises(Boom):
        importing.run({"forget": False}, store=store)
    with pytest.raises(Boom):
        importing.run({"forget": True}, store=store)
    importing.run({"forget": False}, store=store)
    assert effects == ["from None", "from None", "from 7"]


def test_what_is_not_there_is_none_to_forget(store: SqlStore) -> None:
    @job("j")
    def nothing(j: Job) -> None:
        j.forget("never", key=3)

    nothing.run(store=store)


def test_a_forgotten_step_is_not_reported_as_lost(store: SqlStore, caplog: pytest.LogCaptureFixture) -> None:
    @job("j")
    def forgetful(j: Job, fail: bool) -> None:
        if fail:
            j.step("s", int)
            raise Boom
        j.forget("s")

    with pytest.raises(Boom):
        forgetful.run({"fail": True}, store=store)
    forgetful.run({"fail": False}, store=store)
    assert "drift" not in caplog.text
