"""The controller's compare-and-sets."""

import pytest

from resumable.state import transitions
from resumable.state.outcome import Changed, Fenced, Stale, StoreRefused
from resumable.state.record import Attempt, EndKind, Run, RunStatus
from resumable.state.store import AttemptEnd, Expected, NewRun, Store
from resumable.state.transitions import Transition
from tests.contract.runs import Worker, changed, encoded, ended, minted, new_run, resumed, run_of, started

STATUSES = list(RunStatus)


def brought_to(worker: Worker, status: RunStatus) -> Run:
    """The worker's run, in a status that its attempt's end or itself can bring about."""
    if status is RunStatus.RUNNING:
        return run_of(worker.store, worker.fence.run_id)
    if status in (RunStatus.WAITING, RunStatus.SUCCEEDED):
        worker.end(status)
        return run_of(worker.store, worker.fence.run_id)
    return ended(worker, to=status)


def attempts(worker: Worker) -> tuple[Attempt, ...]:
    view = worker.store.view(worker.fence.run_id)
    assert view is not None
    return view.attempts


def test_a_run_is_created_once(store: Store) -> None:
    first = store.create_run(NewRun(id="uid", namespace="a", name="x", input=encoded({"n": 1})))
    again = store.create_run(NewRun(id="uid", namespace="a", name="x", input=encoded({"n": 2})))
    assert first == again
    assert (first.status, first.attempt, first.nonce, first.input) == (RunStatus.PENDING, 0, "", encoded({"n": 1}))
    assert first.created == first.updated


def test_a_run_that_is_not_there_is_stale_for_every_change(store: Store) -> None:
    expected = Expected(1, RunStatus.RUNNING, 1)
    end = AttemptEnd(attempt=1, kind=EndKind.FAILURE, cause="Error", to=RunStatus.PENDING)
    outcomes = [
        store.mint("none", expected, "n"),
        store.bind_pod("none", 1, "n", pod_name="p", pod_uid="u"),
        store.request_stop("none", 1, "Suspended"),
        store.count_end("none", end),
        store.settle("none", expected, RunStatus.PAUSED, reason="x"),
        store.set_input("none", expected, None),
    ]
    assert outcomes == [Stale(None)] * 6
    store.delete_run("none")


@pytest.mark.parametrize("status", STATUSES)
def test_mint_follows_the_table(worker: Worker, status: RunStatus) -> None:
    run = brought_to(worker, status)
    outcome = worker.store.mint(run.id, Expected.of(run), "b" * 32)
    if transitions.allowed(Transition.MINT, status, RunStatus.PENDING):
        after = changed(outcome)
        assert (after.attempt, after.nonce, after.status) == (2, "b" * 32, RunStatus.PENDING)
    else:
        assert outcome == Stale(run)
        assert run_of(worker.store, run.id) == run


@pytest.mark.parametrize("before", STATUSES)
def test_settle_follows_the_table(store: Store, before: RunStatus) -> None:
    for after in STATUSES:
        run = brought_to(started(store), before)
        outcome = store.settle(run.id, Expected.of(run), after, reason="Asked", message="by a person")
        if transitions.allowed(Transition.SETTLE, before, after):
            settled = changed(outcome)
            assert (settled.status, settled.reason, settled.message) == (after, "Asked", "by a person")
            assert (settled.finished is not None) == after.terminal
        else:
            assert outcome == Stale(run)


def test_a_change_of_a_run_that_was_read_before_another_change_is_stale(store: Store) -> None:
    run = new_run(store)
    minted(store, run)
    now = run_of(store, run.id)
    assert store.mint(run.id, Expected.of(run), "c" * 32) == Stale(now)
    assert store.settle(run.id, Expected.of(run), RunStatus.SUSPENDED, reason="x") == Stale(now)
    assert store.set_input(run.id, Expected.of(run), None) == Stale(now)


def test_a_mint_sent_again_after_a_lost_reply_is_changed_once(store: Store) -> None:
    run = new_run(store)
    first = changed(store.mint(run.id, Expected.of(run), "a" * 32))
    assert store.mint(run.id, Expected.of(run), "a" * 32) == Changed(first)


def test_a_mint_clears_the_requested_stop(worker: Worker) -> None:
    run = changed(worker.store.request_stop(worker.fence.run_id, 1, "NodeLost"))
    assert minted(worker.store, run).stop_requested == ""


def test_binding_a_pod_is_idempotent_and_another_pod_is_stale(store: Store) -> None:
    run = minted(store, new_run(store))

    def bind(uid: str, nonce: str = run.nonce, attempt: int = 1) -> object:
        return store.bind_pod(run.id, attempt, nonce, pod_name="import-r1", pod_uid=uid, node="a")

    assert bind("uid-1") == Changed(run)
    assert bind("uid-1") == Changed(run)
    assert bind("uid-2") == Stale(run)
    assert bind("uid-1", nonce="0" * 32) == Stale(run)
    assert bind("uid-1", attempt=2) == Stale(run)
    view = store.view(run.id)
    assert view is not None
    assert (view.attempts[0].pod_uid, view.attempts[0].node) == ("uid-1", "a")


def test_a_node_that_is_learned_later_is_kept(store: Store) -> None:
    run = minted(store, new_run(store))
    store.bind_pod(run.id, 1, run.nonce, pod_name="p", pod_uid="u")
    store.bind_pod(run.id, 1, run.nonce, pod_name="p", pod_uid="u", node="a")
    store.bind_pod(run.id, 1, run.nonce, pod_name="p", pod_uid="u")
    view = store.view(run.id)
    assert view is not None
    assert view.attempts[0].node == "a"


def test_a_stop_is_requested_of_the_current_attempt_only(worker: Worker) -> None:
    run_id = worker.fence.run_id
    first = changed(worker.store.request_stop(run_id, 1, "Suspended"))
    assert first.stop_requested == "Suspended"
    assert worker.store.request_stop(run_id, 1, "Suspended") == Changed(first)
    assert changed(worker.store.request_stop(run_id, 1, "Cancelled")).stop_requested == "Cancelled"
    assert isinstance(worker.store.request_stop(run_id, 2, "Suspended"), Stale)
    worker.end(RunStatus.SUCCEEDED)
    assert isinstance(worker.store.request_stop(run_id, 1, "Suspended"), Stale)


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.WAITING, RunStatus.PAUSED])
def test_the_end_that_the_worker_wrote_stands(worker: Worker, status: RunStatus) -> None:
    worker.end(status, reason="Mine", result=encoded(7))
    run = ended(worker, EndKind.FAILURE, RunStatus.FAILED, cause="OOMKilled", exit_code=137)
    assert (run.status, run.reason, run.result) == (status, "Mine", encoded(7))
    [attempt] = attempts(worker)
    assert (attempt.end_kind, attempt.cause, attempt.exit_code) == (EndKind.FAILURE, "OOMKilled", 137)


@pytest.mark.parametrize("to", STATUSES)
def test_counting_the_end_of_a_running_attempt_follows_the_table(worker: Worker, to: RunStatus) -> None:
    end = AttemptEnd(attempt=1, kind=EndKind.INTERRUPTION, cause="Evicted", to=to, reason="Why", message="because")
    if transitions.allowed(Transition.COUNT_END, RunStatus.RUNNING, to):
        run = changed(worker.store.count_end(worker.fence.run_id, end))
        assert (run.status, run.reason, run.message) == (to, "Why", "because")
        assert (run.finished is not None) == to.terminal
    else:
        with pytest.raises(StoreRefused, match="Running"):
            worker.store.count_end(worker.fence.run_id, end)
        assert attempts(worker)[0].ended is None


def test_an_end_is_counted_exactly_once(worker: Worker) -> None:
    first = ended(worker, cause="Evicted", exit_code=75, node="a", pod_name="p", pod_uid="u", message="gone")
    before = attempts(worker)
    again = ended(worker, EndKind.FAILURE, RunStatus.FAILED, cause="Error", exit_code=1)
    assert again == first
    assert attempts(worker) == before
    [attempt] = before
    assert (attempt.cause, attempt.exit_code, attempt.node, attempt.message) == ("Evicted", 75, "a", "gone")
    assert attempt.ended is not None


def test_the_end_of_an_earlier_attempt_does_not_move_the_run(worker: Worker) -> None:
    run = run_of(worker.store, worker.fence.run_id)
    minted(worker.store, run)  # from Running: its node is lost and fenced
    after = ended(worker, cause="NodeLost")
    assert (after.status, after.attempt) == (RunStatus.PENDING, 2)
    assert attempts(worker)[0].cause == "NodeLost"


def test_the_end_of_an_attempt_that_was_never_minted_is_stale(worker: Worker) -> None:
    end = AttemptEnd(attempt=7, kind=EndKind.INTERRUPTION, cause="x", to=RunStatus.INTERRUPTED)
    assert isinstance(worker.store.count_end(worker.fence.run_id, end), Stale)


def test_an_end_forgets_the_requested_stop(worker: Worker) -> None:
    worker.store.request_stop(worker.fence.run_id, 1, "Suspended")
    assert ended(worker, EndKind.REQUESTED, RunStatus.SUSPENDED).stop_requested == ""


def test_what_an_attempt_achieved_is_kept_when_later_ones_overwrite_it(worker: Worker) -> None:
    worker.finish("load", 1)
    worker.save("import", 41)
    ended(worker)
    first = attempts(worker)[0]
    assert (first.steps_done, first.progressed) == (1, True)
    assert first.last_saved is not None
    assert first.ended is not None
    assert first.minted <= first.last_saved <= first.ended
    second = Worker(worker.store, minted(worker.store, run_of(worker.store, worker.fence.run_id)).fence)
    second.begin()
    second.save("import", 99)
    assert attempts(worker)[0] == first


def test_a_lost_attempts_achievements_are_kept_by_the_mint_of_the_next(worker: Worker) -> None:
    worker.save("import", 41)
    first = attempts(worker)[0]
    second = Worker(worker.store, minted(worker.store, run_of(worker.store, worker.fence.run_id)).fence)
    second.begin()
    second.save("import", 99)
    ended(worker, cause="NodeLost")
    counted = attempts(worker)[0]
    assert (counted.last_saved, counted.progressed) == (first.last_saved, True)


def test_an_attempt_that_saved_the_same_cursor_again_did_not_progress(worker: Worker) -> None:
    worker.save("import", 41)
    second = resumed(worker)
    second.save("import", 41)
    assert attempts(worker)[1].progressed is False
    second.save("import", 42)
    assert attempts(worker)[1].progressed is True
    third = resumed(second)
    third.show("import")
    third.finish("import", error="no")
    assert attempts(worker)[2].progressed is False
    third.finish("import", 1)
    assert attempts(worker)[2].progressed is True


def test_the_input_changes_only_while_no_attempt_is_under_way(store: Store) -> None:
    run = new_run(store)
    run = changed(store.set_input(run.id, Expected.of(run), encoded({"n": 2})))
    assert run.input == encoded({"n": 2})
    run = minted(store, run)
    assert store.set_input(run.id, Expected.of(run), None) == Stale(run)
    worker = Worker(store, run.fence)
    worker.begin()
    run = run_of(store, run.id)
    assert store.set_input(run.id, Expected.of(run), None) == Stale(run)
    run = ended(worker, to=RunStatus.PENDING)
    assert changed(store.set_input(run.id, Expected.of(run), None)).input is None


def test_a_deleted_run_leaves_nothing(worker: Worker) -> None:
    run_id = worker.fence.run_id
    worker.finish("load", error="no")
    worker.finish("load", 1)
    worker.save("import", 1)
    worker.store.delete_run(run_id)
    worker.store.delete_run(run_id)
    store = worker.store
    assert store.get_run(run_id) is None
    assert store.view(run_id) is None
    assert (store.list_steps(run_id), store.list_cursors(run_id), store.list_events(run_id)) == ((), (), ())
    assert isinstance(worker.finish("late"), Fenced)
    anew = new_run(store, run_id)
    assert (anew.attempt, anew.status) == (0, RunStatus.PENDING)
