"""Signals, as everybody but the worker sees them: sent, listed, waking a run."""

import pytest

from resumable.state import limits
from resumable.state.outcome import AlreadySent, Changed, NoSuchRun, RunEnded, Sent, StoreRefused
from resumable.state.record import Encoded, EndKind, Run, RunStatus
from resumable.state.store import Expected, NewSignal, RunEnd, Store
from tests.contract.runs import Worker, encoded, ended, minted, new_run, run_of, started


def signal(name: str = "approval", id_: str = "s1", **more: object) -> NewSignal:
    return NewSignal(id=id_, name=name, **more)  # type: ignore[arg-type]


def waiting(worker: Worker, *wake_on: str) -> Run:
    """The worker left to wait for these signals; its pod may still be leaving."""
    worker.store.end_run(
        worker.fence, worker.write(), RunEnd(status=RunStatus.WAITING, reason="Signal", wake_on=wake_on)
    )
    return run_of(worker.store, worker.fence.run_id)


def test_a_signal_is_kept_with_what_its_sender_said(store: Store) -> None:
    run = new_run(store)
    before = store.info().now

    assert store.send_signal(run.id, signal(payload=encoded({"ok": True}), sender="ann@example.org")) == Sent(1)

    [kept] = store.list_signals(run.id)
    assert (kept.id, kept.name, kept.payload, kept.sender) == (
        "s1",
        "approval",
        encoded({"ok": True}),
        "ann@example.org",
    )
    assert kept.consumed_by == ""
    assert before <= kept.sent <= store.info().now
    assert run_of(store, run.id).signal_seq == 1
    assert run_of(store, run.id).status is RunStatus.PENDING


def test_signals_are_listed_in_the_order_they_came_and_each_raises_the_sequence(store: Store) -> None:
    run = new_run(store)

    assert [store.send_signal(run.id, signal(id_=each)) for each in "cab"] == [Sent(1), Sent(2), Sent(3)]

    assert [each.id for each in store.list_signals(run.id)] == ["c", "a", "b"]


def test_the_same_id_is_one_signal(store: Store) -> None:
    run = new_run(store)
    store.send_signal(run.id, signal(payload=encoded(1)))
    sent_once = run_of(store, run.id)

    assert store.send_signal(run.id, signal("other", payload=encoded(2))) == AlreadySent()

    assert run_of(store, run.id) == sent_once
    assert [(each.name, each.payload) for each in store.list_signals(run.id)] == [("approval", encoded(1))]


def test_the_same_id_in_another_run_is_another_signal(store: Store) -> None:
    one, other = new_run(store), new_run(store)

    assert [store.send_signal(run.id, signal()) for run in (one, other)] == [Sent(1), Sent(1)]

    assert len(store.list_signals(one.id)) == len(store.list_signals(other.id)) == 1


def test_a_run_that_waits_for_the_signal_goes_on(worker: Worker) -> None:
    waiting(worker, "answer", "approval")
    store = worker.store

    assert store.send_signal(worker.fence.run_id, signal()) == Sent(1)

    woken = run_of(store, worker.fence.run_id)
    assert (woken.status, woken.reason) == (RunStatus.PENDING, "SignalReceived")
    assert (woken.wake_on, woken.wake_at) == ((), None)


@pytest.mark.parametrize("wake_on", [("other",), ("approval-2", "approva"), ()])
def test_a_run_that_waits_for_something_else_goes_on_waiting(worker: Worker, wake_on: tuple[str, ...]) -> None:
    waiting(worker, *wake_on)

    assert worker.store.send_signal(worker.fence.run_id, signal()) == Sent(1)

    run = run_of(worker.store, worker.fence.run_id)
    assert (run.status, run.wake_on, run.signal_seq) == (RunStatus.WAITING, wake_on, 1)


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.SUSPENDED, RunStatus.PAUSED])
def test_a_run_that_does_not_wait_keeps_its_status(worker: Worker, status: RunStatus) -> None:
    if status is not RunStatus.RUNNING:
        ended(worker, to=status)

    assert worker.store.send_signal(worker.fence.run_id, signal()) == Sent(1)

    assert run_of(worker.store, worker.fence.run_id).status is status


def test_a_run_that_ended_takes_no_signal_but_knows_the_ones_it_had(worker: Worker) -> None:
    worker.store.send_signal(worker.fence.run_id, signal())
    worker.end(RunStatus.SUCCEEDED)

    assert worker.store.send_signal(worker.fence.run_id, signal()) == AlreadySent()
    assert worker.store.send_signal(worker.fence.run_id, signal(id_="late")) == RunEnded(RunStatus.SUCCEEDED)

    assert [each.id for each in worker.store.list_signals(worker.fence.run_id)] == ["s1"]


def test_a_run_that_is_not_there_is_not_made_by_a_signal(store: Store) -> None:
    assert store.send_signal("nobody", signal()) == NoSuchRun()

    assert store.get_run("nobody") is None
    assert store.list_signals("nobody") == ()


def test_the_end_of_a_pod_that_was_leaving_does_not_undo_the_wake_up(worker: Worker) -> None:
    """The controller counts the pod's end, whatever its exit code, after a signal has woken the run."""
    waiting(worker, "approval")
    worker.store.send_signal(worker.fence.run_id, signal())

    run = ended(worker, EndKind.COMPLETION, RunStatus.FAILED, cause="Waiting", exit_code=1)

    assert (run.status, run.reason) == (RunStatus.PENDING, "SignalReceived")
    assert minted(worker.store, run).attempt == 2


@pytest.mark.parametrize("to", [RunStatus.PENDING, RunStatus.SUSPENDED, RunStatus.PAUSED])
def test_a_run_that_was_taken_out_of_its_wait_is_woken_by_nothing(worker: Worker, to: RunStatus) -> None:
    """Its timer was due, it was suspended, or a person has to look: the next attempt asks for signals itself."""
    store = worker.store
    waiting(worker, "approval")
    run = ended(worker, EndKind.COMPLETION, RunStatus.WAITING, cause="Waiting")
    settled = store.settle(run.id, Expected.of(run), to, reason="Why")
    assert isinstance(settled, Changed)
    assert (settled.run.wake_on, settled.run.wake_at) == ((), None)

    assert store.send_signal(run.id, signal()) == Sent(1)

    assert (run_of(store, run.id).status, run_of(store, run.id).reason) == (to, "Why")


def test_the_runs_that_a_signal_woke_are_listed_until_their_next_attempt(store: Store) -> None:
    workers = [started(store) for _ in range(3)]
    for worker in workers:
        waiting(worker, "approval")
    assert store.list_woken() == ()

    for worker in workers[:2]:
        store.send_signal(worker.fence.run_id, signal())

    assert set(store.list_woken()) == {worker.fence.run_id for worker in workers[:2]}
    assert len(store.list_woken(limit=1)) == 1
    run = ended(workers[0], EndKind.COMPLETION, RunStatus.PENDING, cause="Waiting")
    minted(store, run)
    assert store.list_woken() == (workers[1].fence.run_id,)


def test_a_run_whose_worker_gives_that_reason_is_not_among_the_woken(worker: Worker) -> None:
    worker.end(RunStatus.PAUSED, reason="SignalReceived")

    assert worker.store.list_woken() == ()


def test_a_payload_that_is_too_large_is_refused_by_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGEST_VALUE", 1000)
    run = new_run(store)

    with pytest.raises(StoreRefused, match="payload of signal 'approval' has 1,001 bytes"):
        store.send_signal(run.id, signal(payload=Encoded("raw", b"x" * 1001)))

    assert store.list_signals(run.id) == ()


def test_an_id_holds_the_full_name_of_a_kubernetes_resource(store: Store) -> None:
    run, long = new_run(store), f"{'n' * 63}/{'r' * 253}"

    assert store.send_signal(run.id, signal(id_=long)) == Sent(1)
    assert store.list_signals(run.id)[0].id == long

    with pytest.raises(StoreRefused, match="the signal's id has 1000 characters"):
        store.send_signal(run.id, signal(id_="i" * 1000))


def test_signals_go_with_their_run(store: Store) -> None:
    run = new_run(store)
    store.send_signal(run.id, signal())

    store.delete_run(run.id)
    new_run(store, run.id)

    assert store.list_signals(run.id) == ()
    assert store.send_signal(run.id, signal()) == Sent(1)
