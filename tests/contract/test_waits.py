"""What a waiting worker asks of the store, so that no signal is lost and none is taken twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from resumable.state.outcome import (
    AlreadyDone,
    AlreadyStored,
    Fenced,
    Sent,
    SignalsChanged,
    SignalsRead,
    Stopped,
    Stored,
)
from resumable.state.record import RunStatus, StepStatus
from resumable.state.store import NewSignal, RunEnd, Store
from tests.contract.runs import Worker, encoded, ended, minted, new_run, resumed, run_of, started, step_of

WAITING = RunStatus.WAITING


def send(worker: Worker, id_: str = "s1", name: str = "approval", payload: object = None) -> None:
    signal = NewSignal(id=id_, name=name, payload=encoded(payload), sender="ann")
    assert isinstance(worker.store.send_signal(worker.fence.run_id, signal), Sent)


def consumers(worker: Worker) -> dict[str, str]:
    return {signal.id: signal.consumed_by for signal in worker.store.list_signals(worker.fence.run_id)}


def unconsumed(worker: Worker) -> list[str]:
    outcome = worker.store.read_signals(worker.fence)
    assert isinstance(outcome, SignalsRead)
    return [signal.id for signal in outcome.signals]


def test_a_worker_reads_the_signals_that_are_there_in_the_order_they_came(worker: Worker) -> None:
    for id_ in "cab":
        send(worker, id_, payload=id_)
    outcome = worker.store.read_signals(worker.fence)
    assert isinstance(outcome, SignalsRead)
    assert [(each.id, each.payload, each.sender) for each in outcome.signals] == [
        (id_, encoded(id_), "ann") for id_ in "cab"
    ]
    assert outcome.signal_seq == 3
    assert outcome.now >= outcome.signals[-1].sent


def test_only_the_attempt_whose_run_is_running_reads_signals(worker: Worker) -> None:
    resumed(worker)
    assert isinstance(worker.store.read_signals(worker.fence), Fenced)
    other = started(worker.store)
    other.end(RunStatus.PAUSED)
    assert other.store.read_signals(other.fence) == Stopped(RunStatus.PAUSED)


def test_every_answer_tells_a_worker_in_a_wait_that_a_signal_came(worker: Worker) -> None:
    assert worker.store.heartbeat(worker.fence) == Stored("", 0)
    send(worker)
    write = worker.write()
    assert worker.store.heartbeat(worker.fence) == Stored("", 1)
    assert worker.show("approval") == Stored("", 1)
    assert worker.finish("load", write=write) == Stored("", 1)
    assert worker.finish("load", write=write) == AlreadyStored("", 1)
    assert worker.save("import", 1) == Stored("", 1)
    assert worker.finish("more", payload=encoded(1)) == Stored("", 1)
    assert worker.store.save_payload(worker.fence, worker.write(), encoded(2)) == Stored("", 1)
    assert worker.start("approval").signal_seq == 1


def test_a_signal_is_taken_in_the_commit_of_the_wait(worker: Worker) -> None:
    send(worker, "s1")
    send(worker, "s2")
    assert worker.finish("approval", "yes", key="7", consumes="s1") == Stored("", 2)
    assert consumers(worker) == {"s1": "approval[7]", "s2": ""}
    assert unconsumed(worker) == ["s2"]
    begun = resumed(worker).begun
    assert begun is not None
    assert [signal.id for signal in begun.signals] == ["s2"]


@pytest.mark.parametrize("missing", ["s1", "never-sent"])
def test_a_signal_that_is_not_there_to_be_taken_changes_nothing(worker: Worker, missing: str) -> None:
    send(worker, "s1")
    worker.finish("first", consumes="s1")
    outcome = worker.finish("second", consumes=missing, payload=encoded("not stored"))
    assert outcome == SignalsChanged(1)
    assert [step.name for step in worker.store.list_steps(worker.fence.run_id)] == ["first"]
    assert run_of(worker.store, worker.fence.run_id).payload is None
    assert consumers(worker) == {"s1": "first"}


def test_a_wait_sent_again_after_a_lost_reply_has_taken_its_signal_once(worker: Worker) -> None:
    send(worker, "s1")
    write = worker.write()
    assert worker.finish("approval", consumes="s1", write=write) == Stored("", 1)
    assert worker.finish("approval", consumes="s1", write=write) == AlreadyStored("", 1)


def test_a_wait_that_is_done_takes_no_other_signal(worker: Worker) -> None:
    send(worker, "s1")
    send(worker, "s2")
    worker.finish("approval", consumes="s1")
    assert worker.finish("approval", consumes="s2") == AlreadyDone("approval", "")
    assert consumers(worker) == {"s1": "approval", "s2": ""}


def test_of_two_waits_that_take_the_same_signal_at_once_one_gets_it(worker: Worker) -> None:
    for number in range(10):
        send(worker, f"s{number}")
        together = threading.Barrier(2)

        def take(name: str, number: int = number, together: threading.Barrier = together) -> object:
            mine = Worker(worker.store, worker.fence, sequence=1000 * number + ord(name))
            together.wait(20)
            return mine.finish(name, key=str(number), consumes=f"s{number}")

        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(take, "ab"))
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["SignalsChanged", "Stored"]


def test_a_time_out_is_decided_on_the_signals_that_were_read(worker: Worker) -> None:
    send(worker, "s1")
    assert worker.finish("approval", error="WaitTimeout", signal_seq=0) == SignalsChanged(1)
    assert worker.store.list_steps(worker.fence.run_id) == ()
    assert worker.finish("approval", error="WaitTimeout", signal_seq=1, final=True) == Stored("", 1)
    assert step_of(worker, "approval").status is StepStatus.FAILED
    assert unconsumed(worker) == ["s1"]  # of another name, say


def test_a_worker_leaves_to_wait_for_signals_and_a_moment(worker: Worker) -> None:
    moment = datetime(2031, 5, 1, 12, 0, tzinfo=UTC)
    names = ("approval", "väg till “Å”")
    assert worker.end(WAITING, reason="SignalWait", wake_on=names, wake_at=moment, signal_seq=0) == Stored()
    run = run_of(worker.store, worker.fence.run_id)
    assert (run.status, run.reason, run.wake_on, run.wake_at) == (WAITING, "SignalWait", names, moment)
    view = worker.store.view(run.id)
    assert view is not None
    assert view.attempts[0].written_end is WAITING


def test_a_wait_may_end_so_long_after_the_stores_now(worker: Worker) -> None:
    worker.end(WAITING, reason="TimerWait", wake_after_ms=3_600_000)
    run = run_of(worker.store, worker.fence.run_id)
    assert run.wake_at == run.updated + timedelta(hours=1)


def test_a_signal_that_came_after_the_last_look_keeps_the_worker(worker: Worker) -> None:
    send(worker)
    before = run_of(worker.store, worker.fence.run_id)
    assert worker.end(WAITING, wake_on=("approval",), signal_seq=0) == SignalsChanged(1)
    assert run_of(worker.store, worker.fence.run_id) == before
    assert worker.end(WAITING, wake_on=("approval",), signal_seq=1) == Stored("", 1)


def test_an_end_as_waiting_whose_reply_was_lost_is_already_stored_also_when_a_signal_has_woken_the_run(
    worker: Worker,
) -> None:
    write = worker.write()
    end = RunEnd(status=WAITING, wake_on=("approval",), signal_seq=0)
    assert worker.store.end_run(worker.fence, write, end) == Stored()
    send(worker)
    assert worker.store.end_run(worker.fence, write, end) == AlreadyStored("", 1)
    run = run_of(worker.store, worker.fence.run_id)
    assert (run.status, run.reason) == (RunStatus.PENDING, "SignalReceived")


def test_a_worker_that_left_to_wait_writes_nothing_more(worker: Worker) -> None:
    worker.end(WAITING, wake_on=("approval",), signal_seq=0)
    assert worker.every_write() == [Stopped(WAITING)] * 7
    send(worker)
    assert worker.every_write() == [Stopped(RunStatus.PENDING)] * 7


def test_what_woke_a_run_is_gone_when_it_runs_again(worker: Worker) -> None:
    worker.end(WAITING, wake_on=("approval",), wake_after_ms=5, signal_seq=0)
    send(worker)
    run = ended(worker)
    assert run.status is RunStatus.PENDING
    second = Worker(worker.store, minted(worker.store, run).fence)
    begun = second.begin()
    assert (begun.run.wake_on, begun.run.wake_at) == ((), None)
    assert [signal.id for signal in begun.signals] == ["s1"]
    assert begun.run.signal_seq == 1
    second.end(RunStatus.PAUSED)
    assert run_of(worker.store, run.id).wake_at is None


def test_signals_that_came_before_the_run_began_are_there_for_its_waits(store: Store) -> None:
    run = new_run(store)
    store.send_signal(run.id, NewSignal(id="early", name="approval"))
    worker = Worker(store, minted(store, run_of(store, run.id)).fence)
    begun = worker.begin()
    assert [signal.id for signal in begun.signals] == ["early"]
    assert worker.finish("approval", consumes="early") == Stored("", 1)


def test_a_signal_and_a_worker_that_leaves_at_once_never_miss_each_other(store: Store) -> None:
    """Lost wake-up: the run must not wait while the signal that it waits for is there."""
    seen = set()
    for _ in range(10):
        worker = started(store)
        together = threading.Barrier(2)

        def leave(worker: Worker = worker, together: threading.Barrier = together) -> object:
            together.wait(20)
            return worker.end(WAITING, wake_on=("approval",), signal_seq=0)

        with ThreadPoolExecutor() as threads:
            leaving = threads.submit(leave)
            together.wait(20)
            send(worker)
            outcome = leaving.result(20)
        status = run_of(store, worker.fence.run_id).status
        seen.add((type(outcome), status))
    assert seen <= {(SignalsChanged, RunStatus.RUNNING), (Stored, RunStatus.PENDING)}
