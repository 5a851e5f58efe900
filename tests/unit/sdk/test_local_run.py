"""What a process does for a run that no operator looks after."""

from pathlib import Path

import pytest

from resumable import Fenced, RunIsBusy, RunNotRunnable
from resumable.sdk.execution import Ending
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.local_run import Place, claim, claim_run, count, take_over
from resumable.state.record import Attempt, Encoded, EndKind, Fence, Run, RunStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import RunEnd
from tests.unit.sdk.worker import begin, status


def claimed(store: SqlStore, value: Encoded | None = None, *, unpause: bool = False) -> Fence:
    fence = claim(store, "r", "job", value, unpause=unpause)
    assert isinstance(fence, Fence)
    return fence


def attempts(store: SqlStore) -> list[Attempt]:
    view = store.view("r")
    assert view is not None
    return list(view.attempts)


def test_each_claim_mints_an_attempt(store: SqlStore) -> None:
    assert [claimed(store).attempt for _ in range(3)] == [1, 2, 3]


def test_an_attempt_that_never_said_how_it_ended_is_counted_as_interrupted(store: SqlStore) -> None:
    begin(store, claimed(store))
    claimed(store)
    first, second = attempts(store)
    assert (first.end_kind, first.cause) == (EndKind.INTERRUPTION, "ProcessLost")
    assert second.ended is None


@pytest.mark.parametrize(
    ("ending", "kind", "after"),
    [
        (Ending(ExitCode.INTERRUPTED, "SIGTERM"), EndKind.INTERRUPTION, RunStatus.INTERRUPTED),
        (Ending(ExitCode.FAILED, "ValueError", "bad row"), EndKind.FAILURE, RunStatus.PENDING),
    ],
)
def test_how_an_attempt_ended_is_recorded(store: SqlStore, ending: Ending, kind: EndKind, after: RunStatus) -> None:
    fence = claimed(store)
    begin(store, fence)
    count(store, fence, ending)
    (attempt,) = attempts(store)
    assert (attempt.end_kind, attempt.cause, attempt.exit_code) == (kind, ending.cause, ending.exit_code)
    assert status(store) is after
    assert claimed(store).attempt == 2
    assert attempts(store)[0] == attempt, "it is not counted again as lost"


@pytest.mark.parametrize(
    "ending", [Ending(ExitCode.INTERRUPTED, "SIGTERM"), Ending(ExitCode.FAILED, "ValueError", "bad row")]
)
def test_a_run_that_somebody_else_claims_meanwhile_is_left_to_them(store: SqlStore, ending: Ending) -> None:
    fence = claimed(store)
    begin(store, fence)
    count(store, fence, ending)
    seen = store.get_run("r")
    assert seen is not None
    theirs = claimed(store)
    with pytest.raises(RunNotRunnable, match="changed by somebody else at the same moment"):
        claim_run(store, seen, None)
    begin(store, theirs)


def test_a_run_is_taken_over_from_whoever_has_it(store: SqlStore) -> None:
    old = begin(store, claimed(store))
    run = store.get_run("r")
    assert run is not None
    begin(store, take_over(store, run))
    with pytest.raises(Fenced, match="attempt 1 of run r may not write any more"):
        old.finish_step(old.enter("s", ""))
    first, second = attempts(store)
    assert (first.end_kind, first.cause) == (EndKind.INTERRUPTION, "TakenOver")
    assert second.ended is None


def test_a_fenced_process_counts_nothing(store: SqlStore) -> None:
    fence = claimed(store)
    begin(store, fence)
    count(store, fence, Ending(ExitCode.FENCED, "Fenced"))
    assert attempts(store)[0].ended is None


def test_a_finished_run_is_returned_as_it_is(store: SqlStore) -> None:
    begin(store, claimed(store)).end(RunEnd(status=RunStatus.SUCCEEDED, result=Encoded("json", b"1")))
    over = claim(store, "r", "job", None)
    assert isinstance(over, Run)
    assert over.result == Encoded("json", b"1")


def test_a_paused_run_goes_on_only_when_somebody_says_so(store: SqlStore) -> None:
    end = RunEnd(status=RunStatus.PAUSED, reason="StateRewound", message="a write is gone")
    begin(store, claimed(store)).end(end)
    with pytest.raises(RunNotRunnable, match=r"'r' is Paused \(StateRewound\): .*; restart it .*--unpause"):
        claim(store, "r", "job", None)
    assert claimed(store, unpause=True).attempt == 2


def test_new_input_replaces_the_old_and_none_keeps_it(store: SqlStore) -> None:
    one, two = Encoded("json", b'{"a":1}'), Encoded("json", b'{"a":2}')
    for given, kept in ((one, one), (None, one), (two, two)):
        claimed(store, given)
        run = store.get_run("r")
        assert run is not None
        assert run.input == kept


def test_a_run_is_locked_within_a_process_too(tmp_path: Path) -> None:
    place = Place.open(tmp_path / "state.db")
    with place.lock("r"):
        with place.lock("another"):
            pass
        with pytest.raises(RunIsBusy, match="another thread of this process"), place.lock("r"):
            pass
    with place.lock("r"):
        pass
    place.store.close()
