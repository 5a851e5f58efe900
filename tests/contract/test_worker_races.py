"""A worker and somebody else at once, each order made to happen, by two connections to a real database."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resumable.state.outcome import Sent, SignalsChanged, Started, Stopped, Stored
from resumable.state.record import RunStatus, StepStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import NewSignal
from tests.contract.in_turn import Server, running
from tests.contract.runs import Worker, encoded, names, run_of, started, step_of
from tests.contract.stores import Surroundings


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def server(request: pytest.FixtureRequest, surroundings: Surroundings, tmp_path: Path) -> Iterator[Server]:
    with running(request.param, replace(surroundings, folder=tmp_path)) as opened:
        yield opened


@pytest.fixture
def worker(server: Server) -> Worker:
    return started(server.store)


def elsewhere(worker: Worker, server: Server, sequence: int = 100) -> Worker:
    """The same worker by another connection."""
    return Worker(server.other, worker.fence, worker.process_id, sequence=sequence)


def sending(store: SqlStore, worker: Worker, id_: str = "s") -> Callable[[], object]:
    return lambda: store.send_signal(worker.fence.run_id, NewSignal(id=id_, name="approval"))


def leaving(worker: Worker) -> Callable[[], object]:
    return lambda: worker.end(RunStatus.WAITING, wake_on=("approval",), signal_seq=0)


def timing_out(worker: Worker) -> Callable[[], object]:
    return lambda: worker.finish("approval", error="WaitTimeout", final=True, signal_seq=0)


def taking(worker: Worker, name: str, **step: Any) -> Callable[[], object]:
    return lambda: worker.finish(name, consumes="s", **step)


def status_of(worker: Worker) -> RunStatus:
    return run_of(worker.store, worker.fence.run_id).status


def test_a_worker_that_leaves_while_a_signal_is_being_sent_stays(server: Server, worker: Worker) -> None:
    """It is locked out until the signal is there, and then sees that the signals are not those that it read."""
    sent, left = server.in_turn("signal", sending(server.store, worker), leaving(elsewhere(worker, server)))
    assert (sent, left) == (Sent(1), SignalsChanged(1))
    assert status_of(worker) is RunStatus.RUNNING


def test_a_signal_that_is_sent_while_its_worker_leaves_wakes_the_run(server: Server, worker: Worker) -> None:
    left, sent = server.in_turn("event", leaving(worker), sending(server.other, worker))
    assert (left, sent) == (Stored(), Sent(1))
    run = run_of(server.store, worker.fence.run_id)
    assert (run.status, run.reason) == (RunStatus.PENDING, "SignalReceived")


def test_a_wait_does_not_time_out_while_its_signal_is_being_sent(server: Server, worker: Worker) -> None:
    sent, decided = server.in_turn("signal", sending(server.store, worker), timing_out(elsewhere(worker, server)))
    assert (sent, decided) == (Sent(1), SignalsChanged(1))
    assert server.store.list_steps(worker.fence.run_id) == ()


def test_a_signal_that_is_sent_while_its_wait_times_out_is_kept(server: Server, worker: Worker) -> None:
    decided, sent = server.in_turn("step", timing_out(worker), sending(server.other, worker))
    assert (decided, sent) == (Stored(), Sent(1))
    assert step_of(worker, "approval").final
    assert [signal.consumed_by for signal in server.store.list_signals(worker.fence.run_id)] == [""]


def test_of_two_waits_for_one_signal_the_second_is_told_that_it_was_taken(server: Server, worker: Worker) -> None:
    sending(server.store, worker)()
    first, second = server.in_turn("step", taking(worker, "one"), taking(elsewhere(worker, server), "other"))
    assert (first, second) == (Stored("", 1), SignalsChanged(1))
    assert names(server.store.list_steps(worker.fence.run_id)) == ["one"]
    assert server.store.list_signals(worker.fence.run_id)[0].consumed_by == "one"


def test_two_writers_of_one_run_with_payloads_wait_for_each_other_and_lose_nothing(
    server: Server, worker: Worker
) -> None:
    """Shared locks first, that both then raise, are a deadlock: the second would be at the gate beside the first."""
    first, second = server.in_turn(
        "step",
        lambda: worker.finish("one", payload=encoded(1)),
        lambda: elsewhere(worker, server).finish("other", payload=encoded(2)),
    )
    assert (first, second) == (Stored(), Stored())
    assert names(server.store.list_steps(worker.fence.run_id)) == ["one", "other"]
    assert run_of(server.store, worker.fence.run_id).payload == encoded(2)


def test_a_write_with_a_payload_waits_for_a_plain_one_of_the_same_run(server: Server, worker: Worker) -> None:
    first, second = server.in_turn(
        "step",
        lambda: worker.finish("plain"),
        lambda: elsewhere(worker, server).save("other", 1, payload=encoded(2)),
    )
    assert (first, second) == (Stored(), Stored())
    assert names(server.store.list_steps(worker.fence.run_id)) == ["other", "plain"]
    assert run_of(server.store, worker.fence.run_id).payload == encoded(2)


def test_a_write_with_a_payload_and_the_end_of_the_run_do_not_deadlock(server: Server, worker: Worker) -> None:
    first, second = server.in_turn(
        "step",
        lambda: worker.finish("last", payload=encoded(1)),
        lambda: elsewhere(worker, server).end(RunStatus.SUCCEEDED),
    )
    assert (first, second) == (Stored(), Stored())
    late, ended = elsewhere(worker, server).finish("late", payload=encoded(3)), status_of(worker)
    assert (late, ended) == (Stopped(RunStatus.SUCCEEDED), RunStatus.SUCCEEDED)
    assert run_of(server.store, worker.fence.run_id).payload == encoded(1)


def test_a_step_that_ends_while_its_start_is_being_recorded_is_stored(server: Server, worker: Worker) -> None:
    """As when the start's reply is slow: what comes second finds the row, and its end must not be swallowed by it."""
    began, done = server.in_turn(
        "step",
        lambda: worker.start("charge", effect="at-most-once"),
        lambda: elsewhere(worker, server).finish("charge", 7),
        when="AFTER",
    )
    assert isinstance(began, Started)
    assert done == Stored()
    step = step_of(worker, "charge")
    assert (step.status, step.result) == (StepStatus.DONE, encoded(7))


def test_a_step_that_is_forgotten_while_another_is_written_is_gone_alone(server: Server, worker: Worker) -> None:
    worker.finish("old")
    elsewhere_worker = elsewhere(worker, server)
    first, second = server.in_turn("step", lambda: worker.finish("new"), lambda: elsewhere_worker.forget("old"))
    assert (first, second) == (Stored(), Stored())
    assert names(server.store.list_steps(worker.fence.run_id)) == ["new"]
