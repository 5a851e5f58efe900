"""The judge can fail: bugs are planted between the worker and its store, and found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.state.record import RunStatus
from tests.crash.controller import Lane
from tests.crash.faults import Fault, Strike
from tests.crash.journal import Line
from tests.crash.judge import Outcome, judge
from tests.crash.matrix import run_matrix


@pytest.mark.parametrize(
    ("bug", "name", "found"),
    [
        ("ResultsAreDropped", "loop", "repeated"),
        ("CursorsAreDropped", "cursor", "repeated"),
        ("ResumeReadsNoSteps", "loop", "repeated"),
        ("ResumeReadsAnotherResult", "loop", "lost"),
    ],
)
def test_a_planted_bug_is_found(bug: str, name: str, found: str, lanes_of: Callable[[str], list[Lane]]) -> None:
    tally = run_matrix("sqlite", name, lanes_of("sqlite"), singles=None, pairs=0, planted=bug)
    assert getattr(tally, found) > 0, f"{bug} was not noticed in {tally.cases} cases"


STRIKE = Strike(1, 2, Fault.KILLED_AFTER)
BEGUN = Line(process=1, call=1, of="begin", moment="done", answer="Begun")
KILLED = Line(process=1, struck=str(STRIKE))


def did(effect: str, process: int = 1) -> Line:
    return Line(process=process, effect=effect)


def stored(label: str, covers: str, process: int = 1) -> Line:
    of = "finish_step" if covers == "all" else "save_cursor"
    return Line(process=process, call=2, of=of, moment="done", answer="Stored", label=label, covers=covers)


def outcome(*lines: Line, result: bytes = b"1", status: RunStatus = RunStatus.SUCCEEDED) -> Outcome:
    return Outcome(lines, status, result, (), (0,), Path())


UNDISTURBED = outcome(BEGUN, did("ship[a]"), stored("ship[a]", "all"))


def test_an_effect_that_was_under_way_may_come_again() -> None:
    case = outcome(BEGUN, did("ship[a]"), KILLED, did("ship[a]", 2), stored("ship[a]", "all", 2))
    assert judge(UNDISTURBED, case, [STRIKE]).good


def test_an_effect_that_was_under_way_may_not_come_again_when_nobody_was_killed() -> None:
    case = outcome(BEGUN, did("ship[a]"), KILLED, did("ship[a]", 2), stored("ship[a]", "all", 2))
    asked = Strike(1, 2, Fault.SIGTERM)
    assert judge(UNDISTURBED, case, [asked]).repeated


def test_an_effect_of_a_stored_step_may_not_come_again() -> None:
    case = outcome(BEGUN, did("ship[a]"), stored("ship[a]", "all"), KILLED, did("ship[a]", 2))
    assert judge(UNDISTURBED, case, [STRIKE]).repeated


def test_after_a_cursor_only_what_came_before_it_may_not_come_again() -> None:
    undisturbed = outcome(did("rows/1"), stored("rows", "so far"), did("rows/2"))
    begun = (did("rows/1"), stored("rows", "so far"), did("rows/2"), KILLED)
    assert judge(undisturbed, outcome(*begun, did("rows/2", 2)), [STRIKE]).good
    assert judge(undisturbed, outcome(*begun, did("rows/1", 2)), [STRIKE]).repeated


def test_an_effect_that_is_at_most_once_may_be_missing_but_not_come_twice() -> None:
    once = frozenset({"ship[a]"})
    assert judge(UNDISTURBED, outcome(BEGUN, KILLED), [STRIKE], once).good
    twice = outcome(did("ship[a]"), KILLED, did("ship[a]", 2))
    assert judge(UNDISTURBED, twice, [STRIKE], once).repeated


def test_a_missing_effect_another_result_or_another_end_is_found() -> None:
    whole = (BEGUN, did("ship[a]"), stored("ship[a]", "all"), KILLED)
    assert judge(UNDISTURBED, outcome(BEGUN, KILLED), [STRIKE]).lost
    assert judge(UNDISTURBED, outcome(*whole, result=b"2"), [STRIKE]).lost
    assert judge(UNDISTURBED, outcome(*whole, status=RunStatus.PAUSED), [STRIKE]).other


def test_a_fault_that_struck_nothing_is_found() -> None:
    assert judge(UNDISTURBED, UNDISTURBED, [STRIKE]).other
