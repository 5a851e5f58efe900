"""A run whose steps another version of the code stored."""

import logging
from typing import Any

import pytest

from resumable import Job, JobDefinition, JobDefinitionError, RunNotRunnable, VersionMismatch, job
from resumable.sdk.attempt import Attempt
from resumable.sdk.code_version import OnVersionMismatch
from resumable.sdk.interruption import Interruption
from resumable.sdk.local_run import claim
from resumable.state.record import Fence, RunStatus
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import GRACE, status


class Boom(Exception):
    pass


def code(version: str, policy: OnVersionMismatch, effects: Effects, *, fail: bool = False) -> JobDefinition[Any, str]:
    @job("j", version=version, on_version_mismatch=policy)
    def steps(j: Job) -> str:
        j.step("a", effects.of("a"))
        if fail:
            raise Boom
        j.step("b", effects.of(f"b of {version}"))
        return version

    return steps


@pytest.fixture
def begun(store: SqlStore, effects: Effects) -> SqlStore:
    """A run that version 1 has begun and did not finish."""
    with pytest.raises(Boom):
        code("1", "resume", effects, fail=True).run(store=store)
    return store


def test_resume_goes_on_and_says_so(begun: SqlStore, effects: Effects, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="resumable")
    assert code("2", "resume", effects).run(store=begun) == "2"
    assert effects == ["a", "b of 2"]
    assert "its steps were stored by version 1 of the code, and this is version 2" in caplog.text


def test_pause_waits_for_a_person_who_accepts_the_new_version(begun: SqlStore, effects: Effects) -> None:
    changed = code("2", "pause", effects)
    with pytest.raises(VersionMismatch, match="stored by version 1 of the code, and this is version 2; unpause it"):
        changed.run(store=begun)
    run = begun.get_run("j")
    assert run is not None
    assert (run.status, run.reason) == (RunStatus.PAUSED, "VersionMismatch")
    with pytest.raises(RunNotRunnable, match="VersionMismatch"):
        changed.run(store=begun)
    assert effects == ["a"]


def test_fail_ends_the_run(begun: SqlStore, effects: Effects) -> None:
    with pytest.raises(VersionMismatch):
        code("2", "fail", effects).run(store=begun)
    run = begun.get_run("j")
    assert run is not None
    assert (run.status, run.reason) == (RunStatus.FAILED, "VersionMismatch")
    assert "version 2" in run.error
    assert effects == ["a"]


@pytest.mark.parametrize("version", ["1", ""])
def test_the_same_version_or_none_is_no_mismatch(begun: SqlStore, effects: Effects, version: str) -> None:
    assert code(version, "fail", effects).run(store=begun) == version
    assert status(begun, "j") is RunStatus.SUCCEEDED


def test_a_policy_that_is_none_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="on_version_mismatch is one of 'resume', 'pause', 'fail', not 'stop'"):
        job("j", on_version_mismatch="stop")  # type: ignore[arg-type]


def test_whoever_unpauses_it_accepts_the_version_that_it_was_paused_with(begun: SqlStore, effects: Effects) -> None:
    with pytest.raises(VersionMismatch):
        code("2", "pause", effects).run(store=begun)
    claim(begun, "j", "j", None, unpause=True)
    assert code("2", "pause", effects).run(store=begun) == "2"
    assert effects == ["a", "b of 2"]


def test_an_attempt_that_was_killed_before_it_paused_accepts_nothing(begun: SqlStore, effects: Effects) -> None:
    fence = claim(begun, "j", "j", None)
    assert isinstance(fence, Fence)
    Attempt.begin(begun, fence, Interruption(GRACE), store_timeout=GRACE, code_version="2")  # and no more
    with pytest.raises(VersionMismatch):
        code("2", "pause", effects).run(store=begun)
    assert effects == ["a"]
