"""Running a run again, in place: what is forgotten, what is kept, and when it is refused."""

import pytest

from resumable.state.outcome import Begun, Changed, Fenced, Sent, Stale, Stopped, Stored, StoreRefused
from resumable.state.record import EndKind, Run, RunStatus, StepRef, StepTry
from resumable.state.store import Expected, NewSignal, RestartRequest, RunEnd, Store
from tests.contract.runs import (
    Worker,
    changed,
    encoded,
    ended,
    is_fenced,
    minted,
    names,
    new_run,
    next_worker,
    resumed,
    run_of,
    started,
)


def finished(worker: Worker, *steps: str, status: RunStatus = RunStatus.FAILED) -> Run:
    """The worker did these steps, ended its run, and its end is counted."""
    for ordinal, step in enumerate(steps):
        name, _, key = step.partition("/")
        assert isinstance(worker.finish(name, f"result of {step}", key=key, ordinal=ordinal), Stored)
    worker.end(status, error="it broke", reason="StepFailed")
    return ended(worker, EndKind.COMPLETION, to=status, cause="Completed")


def request(id_: str = "again", from_step: StepRef | None = None, *forget: StepRef) -> RestartRequest:
    return RestartRequest(request_id=id_, from_step=from_step, forget=forget)


def restarted(store: Store, run: Run, asked: RestartRequest) -> Run:
    return changed(store.restart(run.id, Expected.of(run), asked))


def tries_of(store: Store, run_id: str, name: str) -> list[StepTry]:
    return [each for each in store.list_tries(run_id) if each.name == name]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.SUCCEEDED])
def test_a_run_that_is_over_runs_again_with_all_that_it_stored(worker: Worker, status: RunStatus) -> None:
    store = worker.store
    store.save_payload(worker.fence, worker.write(), encoded({"customer": 7}))
    over = finished(worker, "a", "b", status=status)

    run = restarted(store, over, request())

    assert (run.status, run.reason, run.generation, run.restart_id) == (RunStatus.PENDING, "Restarted", 2, "again")
    assert (run.error, run.result, run.finished, run.message, run.started) == ("", None, None, "", None)
    assert run.version > over.version
    second = next_worker(store, run)
    assert second.begun is not None
    assert names(second.begun.steps) == ["a", "b"]
    assert second.begun.run.payload == encoded({"customer": 7})
    assert second.begun.attempt.generation == 2
    assert second.begun.attempt.number == 2


def test_from_a_step_on_that_one_and_all_that_ran_after_it_are_forgotten(worker: Worker) -> None:
    over = finished(worker, "a", "b", "c", "d")
    worker.store.restart(over.id, Expected.of(over), request(from_step=StepRef("c")))

    assert names(worker.store.list_steps(over.id)) == ["a", "b"]
    assert names(next_worker(worker.store, run_of(worker.store, over.id)).begun.steps) == ["a", "b"]  # type: ignore[union-attr]


def test_a_step_of_a_loop_is_named_with_its_key_or_all_of_them_without(worker: Worker) -> None:
    over = finished(worker, "a", "b/1", "b/2", "b/3")
    store = worker.store

    one_key = restarted(store, over, request("one", StepRef("b", "2")))
    assert [(step.name, step.key) for step in store.list_steps(over.id)] == [("a", ""), ("b", "1")]

    restarted(store, one_key, request("two", StepRef("b")))
    assert [(step.name, step.key) for step in store.list_steps(over.id)] == [("a", "")]


def test_named_steps_are_forgotten_and_the_others_stay(worker: Worker) -> None:
    over = finished(worker, "a", "b/1", "b/2", "c/1", "c/2")

    restarted(worker.store, over, request("again", None, StepRef("a"), StepRef("b", "2"), StepRef("c")))

    assert [(step.name, step.key) for step in worker.store.list_steps(over.id)] == [("b", "1")]


def test_a_forgotten_step_loses_its_cursor_and_others_keep_theirs(worker: Worker) -> None:
    worker.save("rows", 40, ordinal=0)
    worker.save("more", 50, ordinal=1)
    run = ended(worker, to=RunStatus.INTERRUPTED)

    restarted(worker.store, run, request("again", StepRef("more")))

    assert [(cursor.name, cursor.value) for cursor in worker.store.list_cursors(run.id)] == [("rows", encoded(40))]


def test_a_forgotten_step_runs_anew_and_its_tries_are_history(worker: Worker) -> None:
    worker.finish("a", error="no network")
    over = finished(resumed(worker), "a")
    store = worker.store
    second = next_worker(store, restarted(store, over, request("1", StepRef("a"))))
    over = finished(second, "a")
    third = next_worker(store, restarted(store, over, request("2", StepRef("a"))))

    assert third.finish("a", "third") == Stored()

    [step] = store.list_steps(over.id)
    assert (step.result, step.failures) == (encoded("third"), 0)
    assert [(each.number, each.outcome, each.attempt) for each in tries_of(store, over.id, "a")] == [
        (1, "Failed", 1),
        (2, "Done", 2),
        (3, "Done", 3),
        (4, "Done", 4),
    ]


def test_a_forgotten_step_that_fails_and_is_cut_off_again_goes_on_with_its_numbers(worker: Worker) -> None:
    """The row that is replaced is numbered after the ones that were forgotten, not over them."""
    over = finished(worker, "a")
    store = worker.store
    second = next_worker(store, restarted(store, over, request("1", StepRef("a"))))
    second.finish("a", error="broken")
    third = resumed(second)
    third.save("a", 1)
    fourth = resumed(third)
    fourth.finish("a", "at last")

    assert [(each.number, each.outcome) for each in tries_of(store, over.id, "a")] == [
        (1, "Done"),
        (2, "Failed"),
        (3, "Interrupted"),
        (4, "Done"),
    ]


@pytest.mark.parametrize("from_step", [None, StepRef("pay")])
def test_what_a_failure_has_undone_runs_again(worker: Worker, from_step: StepRef | None) -> None:
    undoing = ("compensate:hotel/2", "compensate:hotel/1", "on-failure:1")
    over = finished(worker, "map", "hotel/1", "hotel/2", "hotel/3", "pay", *undoing)
    store = worker.store

    restarted(store, over, request("again", from_step))

    kept = [("map", ""), ("hotel", "3"), *([] if from_step else [("pay", "")])]
    assert [(step.name, step.key) for step in store.list_steps(over.id)] == kept
    assert tries_of(store, over.id, "compensate:hotel")[0].outcome == "Done"


def test_what_was_not_undone_is_kept(worker: Worker) -> None:
    worker.finish("flight", 1, ordinal=0)
    worker.finish("compensate:flight", error="the airline is away", ordinal=1)
    over = finished(worker)

    restarted(worker.store, over, request())

    assert names(worker.store.list_steps(over.id)) == ["flight"]


def test_many_steps_that_were_undone_run_again(worker: Worker) -> None:
    keys = [str(number) for number in range(450)]
    over = finished(worker, *(f"{name}/{key}" for name in ("book", "compensate:book") for key in keys), "note")

    restarted(worker.store, over, request())

    assert names(worker.store.list_steps(over.id)) == ["note"]


def test_the_same_request_again_does_nothing(worker: Worker) -> None:
    over = finished(worker, "a", "b")
    asked = request("once", StepRef("b"))
    first = restarted(worker.store, over, asked)

    assert worker.store.restart(over.id, Expected.of(over), asked) == Changed(first)

    second = next_worker(worker.store, first)
    second.finish("b", "anew")
    assert isinstance(worker.store.restart(over.id, Expected.of(over), asked), Changed)
    assert names(worker.store.list_steps(over.id)) == ["a", "b"]
    assert run_of(worker.store, over.id).status is RunStatus.RUNNING


def test_another_request_opens_another_generation(worker: Worker) -> None:
    run = finished(worker, "a")
    for number in (2, 3):
        run = restarted(worker.store, run, request(f"request {number}"))
        assert run.generation == number
        run = finished(next_worker(worker.store, run))
    view = worker.store.view(run.id)
    assert view is not None
    assert [attempt.generation for attempt in view.attempts] == [1, 2, 3]


def test_while_a_process_may_live_nothing_is_forgotten_under_it(worker: Worker) -> None:
    worker.finish("a")
    store, run = worker.store, run_of(worker.store, worker.fence.run_id)

    assert store.restart(run.id, Expected.of(run), request("r", StepRef("a"))) == Stale(run)  # Running

    worker.end(RunStatus.FAILED)
    leaving = run_of(store, run.id)
    assert store.restart(run.id, Expected.of(leaving), request("r", StepRef("a"))) == Stale(leaving)  # not counted
    assert names(store.list_steps(run.id)) == ["a"]
    ended(worker, EndKind.COMPLETION, RunStatus.FAILED)
    assert isinstance(store.restart(run.id, Expected.of(run_of(store, run.id)), request("r", StepRef("a"))), Changed)


def test_a_minted_attempt_that_has_not_begun_may_have_a_pod(store: Store) -> None:
    run = minted(store, new_run(store))

    assert store.restart(run.id, Expected.of(run), request()) == Stale(run)


def test_a_run_that_changed_since_it_was_read_is_stale(worker: Worker) -> None:
    over = finished(worker, "a")
    worker.store.request_stop(over.id, 1, "x")
    old = Expected(over.attempt, over.status, over.version - 1)

    assert worker.store.restart(over.id, old, request()) == Stale(over)
    assert worker.store.restart("nobody", old, request()) == Stale(None)


def test_an_unknown_step_is_refused_with_those_there_are(worker: Worker) -> None:
    over = finished(worker, "a", "b/1")

    with pytest.raises(StoreRefused, match=r"no step import; it has a, b\[1\]"):
        worker.store.restart(over.id, Expected.of(over), request("r", StepRef("import")))
    with pytest.raises(StoreRefused, match=r"no step b\[2\]; it has a, b\[1\]"):
        worker.store.restart(over.id, Expected.of(over), request("r", StepRef("b", "2")))

    assert run_of(worker.store, over.id) == over


def test_forgetting_what_is_not_there_is_no_error(worker: Worker) -> None:
    over = finished(worker, "a")

    restarted(worker.store, over, request("r", None, StepRef("never")))

    assert names(worker.store.list_steps(over.id)) == ["a"]


def test_a_request_without_an_id_is_refused(worker: Worker) -> None:
    over = finished(worker, "a")

    with pytest.raises(StoreRefused, match="carries the id of its request"):
        worker.store.restart(over.id, Expected.of(over), request(""))


def test_the_fence_of_the_generation_before_opens_nothing(worker: Worker) -> None:
    over = finished(worker, "a")
    restarted(worker.store, over, request("r", StepRef("a")))

    assert isinstance(worker.finish("a", "zombie"), Stopped | Fenced)
    assert is_fenced(worker.begin())
    assert worker.store.list_steps(over.id) == ()

    next_worker(worker.store, run_of(worker.store, over.id))
    assert is_fenced(worker.finish("a", "zombie"))


def test_a_wait_that_is_left_for_a_restart_wakes_by_nothing_any_more(worker: Worker) -> None:
    store = worker.store
    store.end_run(
        worker.fence, worker.write(), RunEnd(status=RunStatus.WAITING, wake_on=("approval",), wake_after_ms=60_000)
    )
    run = ended(worker, EndKind.COMPLETION, RunStatus.WAITING, cause="Waiting")

    again = restarted(store, run, request())

    assert (again.wake_on, again.wake_at, again.reason) == ((), None, "Restarted")
    assert store.send_signal(run.id, NewSignal(id="s", name="approval")) == Sent(1)
    assert run_of(store, run.id).reason == "Restarted"
    assert store.list_woken() == (run.id,)
    next_worker(store, run_of(store, run.id))
    assert store.list_woken() == ()


def test_a_started_step_of_an_attempt_that_is_over_is_told_as_interrupted(store: Store) -> None:
    worker = started(store)
    worker.show("a", running_ms=5)
    assert [each.outcome for each in store.list_tries(worker.fence.run_id)] == ["Started"]

    run = ended(worker, to=RunStatus.INTERRUPTED)

    [cut_off] = store.list_tries(run.id)
    assert (cut_off.outcome, cut_off.number, cut_off.attempt) == ("Interrupted", 1, 1)
    assert cut_off.finished is not None
    assert isinstance(Worker(store, minted(store, run).fence).begin(), Begun)
