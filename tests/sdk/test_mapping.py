"""`map` as a real process that is killed, or asked to leave, in the middle."""

import signal

from resumable.sdk.exit_codes import ExitCode
from tests.sdk.process import Workplace, wait_for


def three_hang(place: Workplace) -> bool:
    """Items 0 to 3 are done, 4 to 6 have begun and come to no end."""
    return {"done 3", "begins 4", "begins 5", "begins 6"} <= set(place.effects())


def begun(place: Workplace, item: int) -> int:
    return place.effects().count(f"begins {item}")


def test_killed_in_the_middle_only_what_ran_is_run_again(place: Workplace) -> None:
    first = place.start("mapping")
    wait_for(lambda: three_hang(place), "three items that hang")
    first.kill()
    (place.folder / "go").touch()
    second = place.run("mapping")
    assert (second.exit_code(), second.output) == (ExitCode.DONE, "45\n"), second.log
    assert [begun(place, item) for item in range(10)] == [1, 1, 1, 1, 2, 2, 2, 1, 1, 1]


def test_asked_to_leave_what_runs_comes_to_its_end_and_nothing_else_begins(place: Workplace) -> None:
    first = place.start("mapping", env={"RESUMABLE_GRACE_SECONDS": "60"})
    wait_for(lambda: three_hang(place), "three items that hang")
    first.signal(signal.SIGTERM)
    wait_for(lambda: "SIGTERM: leaving at the next safe point" in first.log, "the signal to be noted")
    (place.folder / "go").touch()
    assert first.exit_code() == ExitCode.INTERRUPTED, first.log
    assert begun(place, 7) == 0
    assert {"done 4", "done 5", "done 6"} <= set(place.effects())
    second = place.run("mapping")
    assert (second.exit_code(), second.output) == (ExitCode.DONE, "45\n"), second.log
    assert [begun(place, item) for item in range(10)] == [1] * 10


def test_items_that_come_to_no_end_are_left_at_the_deadline(place: Workplace) -> None:
    first = place.start("mapping", env={"RESUMABLE_GRACE_SECONDS": "1"})
    wait_for(lambda: three_hang(place), "three items that hang")
    first.signal(signal.SIGTERM)
    assert first.exit_code() == ExitCode.INTERRUPTED
    assert "no safe point was reached in time" in first.log
    (place.folder / "go").touch()
    second = place.run("mapping")
    assert second.output == "45\n"
    assert [begun(place, item) for item in range(10)] == [1, 1, 1, 1, 2, 2, 2, 1, 1, 1]
