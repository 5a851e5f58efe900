"""SIGTERM, SIGINT, and the watchdog, on real processes."""

import signal

import pytest

from resumable.sdk.exit_codes import ExitCode
from tests.sdk.process import Workplace, wait_for

SHORT_GRACE = {"RESUMABLE_GRACE_SECONDS": "1.5"}
LONG_GRACE = {"RESUMABLE_GRACE_SECONDS": "600"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_saves_leaves_with_75_and_the_next_one_goes_on_from_the_cursor(
    place: Workplace, number: signal.Signals
) -> None:
    first = place.start("import_rows", "--set", "rows=150", "--set", "pause=0.01", env=LONG_GRACE)
    first.wait_for_effect("row 20")
    first.signal(number)
    assert first.exit_code() == ExitCode.INTERRUPTED
    assert f"interrupted: {number.name}" in first.log
    second = place.run("import_rows")
    assert second.exit_code() == ExitCode.DONE
    effects = place.effects()
    assert effects == ["create-table", *(f"row {n}" for n in range(150)), "total"], "nothing twice, nothing missing"


@pytest.mark.parametrize("how", ["usleep", "pbkdf2"])
def test_c_code_that_blocks_the_main_thread_is_left_at_the_deadline(place: Workplace, how: str) -> None:
    first = place.start("blocked", "--set", f"how={how}", env=SHORT_GRACE)
    first.wait_for_effect("blocked")
    first.signal(signal.SIGTERM)
    assert first.exit_code(seconds=10) == ExitCode.INTERRUPTED
    assert "no safe point was reached in time" in first.log
    assert first.output == "not yet flushed"
    second = place.run("blocked", "--set", f"how={how}")
    assert (second.exit_code(), second.output) == (ExitCode.DONE, "3\n")
    assert place.effects() == ["blocked", "goes on from 3"]


def test_interrupted_twice_it_leaves_at_once(place: Workplace) -> None:
    process = place.start("blocked", env=LONG_GRACE)
    process.wait_for_effect("blocked")
    process.signal(signal.SIGINT)
    wait_for(lambda: "once more to leave at once" in process.log, "the first to be told")
    process.signal(signal.SIGINT)
    assert process.exit_code(seconds=10) == ExitCode.INTERRUPTED
    assert "interrupted twice" in process.log


def test_a_second_sigterm_changes_nothing(place: Workplace) -> None:
    process = place.start("scenes", "--set", "scene=shield", env=LONG_GRACE)
    process.wait_for_effect("shielded")
    for _ in range(3):
        process.signal(signal.SIGTERM)
    wait_for(lambda: "SIGTERM" in process.log, "the signal to be told")
    assert process.running()
    (place.folder / "go").touch()
    assert process.exit_code() == ExitCode.INTERRUPTED


def test_a_shield_is_not_stopped_inside(place: Workplace) -> None:
    process = place.start("scenes", "--set", "scene=shield", env=LONG_GRACE)
    process.wait_for_effect("shielded")
    process.signal(signal.SIGTERM)
    wait_for(lambda: "SIGTERM" in process.log, "the signal to be told")
    (place.folder / "go").touch()
    assert process.exit_code() == ExitCode.INTERRUPTED
    assert place.effects() == ["shielded", "shield ends"]


def test_a_forked_child_that_is_terminated_does_not_stop_the_job(place: Workplace) -> None:
    process = place.run("scenes", "--set", "scene=children", env=LONG_GRACE)
    assert process.exit_code() == ExitCode.DONE, process.log
    assert place.effects() == ["after"]
    assert "SIGTERM" not in process.log


def test_an_event_loop_that_took_the_wake_up_descriptor_does_not_make_it_deaf(place: Workplace) -> None:
    process = place.start("scenes", "--set", "scene=event-loop", env=LONG_GRACE)
    process.wait_for_effect("waits")
    process.signal(signal.SIGTERM)
    assert process.exit_code(seconds=10) == ExitCode.INTERRUPTED


def test_before_main_pid_1_leaves_at_once(place: Workplace) -> None:
    process = place.start("early", env={"RESUMABLE_RUN": "r"})
    assert process.read_line() == "imported\n"
    process.signal(signal.SIGTERM)
    assert process.exit_code(seconds=10) == ExitCode.INTERRUPTED


def test_before_main_anybody_else_dies_as_always(place: Workplace) -> None:
    process = place.start("early")
    assert process.read_line() == "imported\n"
    process.signal(signal.SIGTERM)
    assert process.exit_code(seconds=10) == -signal.SIGTERM
