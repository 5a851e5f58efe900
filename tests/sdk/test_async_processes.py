"""Async jobs as real processes that are killed, and asked to leave."""

import signal
import time

import pytest

from resumable.sdk.exit_codes import ExitCode
from tests.sdk.process import JobProcess, Workplace, wait_for

LONG_GRACE = {"RESUMABLE_GRACE_SECONDS": "600"}
SHORT_GRACE = {"RESUMABLE_GRACE_SECONDS": "1.5"}

ALL = {f"row {n}" for n in range(100)} | {f"number {n}" for n in range(100)} | {f"fetched {n}" for n in range(30)}
RESULT = f"{200 + sum(range(30))}\n"


def three(place: Workplace) -> JobProcess:
    """A job whose three branches run: rows in a task, numbers in a thread, a map."""
    return place.start("async_scenes", "--set", "scene=three", env=LONG_GRACE)


@pytest.mark.parametrize("seen", ["fetched 0", "row 15", "number 31", "fetched 20", "row 70"])
def test_killed_in_the_middle_all_branches_go_on(place: Workplace, seen: str) -> None:
    first = three(place)
    first.wait_for_effect(seen)
    first.kill()
    before = set(place.effects())
    second = place.run("async_scenes", env=LONG_GRACE)
    assert (second.exit_code(), second.output) == (ExitCode.DONE, RESULT), second.log
    effects = place.effects()
    assert set(effects) == ALL
    repeated = sorted(effect for effect in before if effects.count(effect) > 1)
    for name, most in (("row", 11), ("number", 11), ("fetched", 2)):
        again = [effect for effect in repeated if effect.startswith(name)]
        assert len(again) <= most, f"more than since the last save: {again}"


def test_killed_again_and_again_it_comes_to_its_end(place: Workplace) -> None:
    for seen in ("row 5", "number 40", "fetched 16"):
        process = three(place)
        process.wait_for_effect(seen)
        process.kill()
    last = place.run("async_scenes", env=LONG_GRACE)
    assert (last.exit_code(), last.output) == (ExitCode.DONE, RESULT), last.log
    assert set(place.effects()) == ALL


@pytest.mark.parametrize("seen", ["fetched 1", "row 25", "number 50"])
def test_asked_to_leave_each_branch_saves_and_nothing_is_repeated(place: Workplace, seen: str) -> None:
    first = three(place)
    first.wait_for_effect(seen)
    first.signal(signal.SIGTERM)
    assert first.exit_code() == ExitCode.INTERRUPTED, first.log
    assert first.log.count("interrupted: SIGTERM") == 1
    second = place.run("async_scenes", env=LONG_GRACE)
    assert (second.exit_code(), second.output) == (ExitCode.DONE, RESULT), second.log
    effects = place.effects()
    assert sorted(effects) == sorted(ALL), "nothing twice, nothing missing"


def test_a_step_that_awaits_for_long_is_cancelled_before_the_deadline(place: Workplace) -> None:
    first = place.start("async_scenes", "--set", "scene=wait", env=SHORT_GRACE)
    first.wait_for_effect("waits")
    began = time.monotonic()
    first.signal(signal.SIGTERM)
    assert first.exit_code(seconds=10) == ExitCode.INTERRUPTED, first.log
    assert time.monotonic() - began > 0.5, "it has its grace"
    assert place.effects() == ["waits", "finally"]
    assert "no safe point was reached" not in first.log


def test_code_that_blocks_the_loop_is_left_by_the_watchdog(place: Workplace) -> None:
    first = place.start("async_scenes", "--set", "scene=block", env=SHORT_GRACE)
    first.wait_for_effect("blocked")
    first.signal(signal.SIGTERM)
    assert first.exit_code(seconds=10) == ExitCode.INTERRUPTED, first.log
    assert "no safe point was reached in time" in first.log


def test_a_held_wait_leaves_at_once_when_it_is_asked_to(place: Workplace) -> None:
    first = place.start("async_scenes", "--set", "scene=approval", env=LONG_GRACE)
    wait_for(lambda: (place.folder / ".resumable/state.db").exists(), "the job to begin")
    wait_for(lambda: "attempt 1" in first.log, "the job to begin")
    first.signal(signal.SIGTERM)
    assert first.exit_code(seconds=10) == ExitCode.INTERRUPTED, first.log
