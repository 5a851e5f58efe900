"""Two callers at once that change a run from outside, each order made to happen, on the servers that lock rows.

The first caller is stopped in the middle of its transaction, at an insert; the second has to wait for it.
"""

from collections.abc import Callable, Iterator

import pytest

from resumable.state.outcome import AlreadySent, Changed, ChangeOutcome, Sent, Stale
from resumable.state.record import EndKind, Run, RunStatus, StepRef
from resumable.state.sql.store import SqlStore
from resumable.state.store import Expected, NewRun, NewSignal, RestartRequest, RunEnd
from tests.contract.in_turn import Server, running
from tests.contract.runs import Worker, ended, names, new_run, run_of, started
from tests.contract.stores import Surroundings


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest, surroundings: Surroundings) -> Iterator[Server]:
    with running(request.param, surroundings) as opened:
        yield opened


def waiting(store: SqlStore) -> Run:
    """A run that did `a` and waits for the signal `go`; its pod is gone."""
    worker = started(store)
    worker.finish("a")
    store.end_run(worker.fence, worker.write(), RunEnd(status=RunStatus.WAITING, wake_on=("go",)))
    return ended(worker, EndKind.COMPLETION, RunStatus.WAITING, cause="Waiting")


def sending(store: SqlStore, run: Run, id_: str = "s") -> Callable[[], object]:
    return lambda: store.send_signal(run.id, NewSignal(id=id_, name="go"))


def restarting(store: SqlStore, run: Run, id_: str = "again") -> Callable[[], ChangeOutcome]:
    request = RestartRequest(request_id=id_, from_step=StepRef("a"))
    return lambda: store.restart(run.id, Expected.of(run), request)


def test_the_same_signal_sent_twice_at_once_is_one(server: Server) -> None:
    run = new_run(server.store)

    outcomes = server.in_turn("signal", sending(server.store, run), sending(server.store, run))

    assert outcomes == (Sent(1), AlreadySent())
    assert run_of(server.store, run.id).signal_seq == 1
    assert len(server.store.list_signals(run.id)) == 1


def test_two_signals_at_once_are_two_one_after_the_other(server: Server) -> None:
    run = waiting(server.store)

    outcomes = server.in_turn("signal", sending(server.store, run, "1"), sending(server.store, run, "2"))

    assert outcomes == (Sent(1), Sent(2))
    assert [signal.id for signal in server.store.list_signals(run.id)] == ["1", "2"]
    assert run_of(server.store, run.id).status is RunStatus.PENDING


def test_a_restart_that_comes_while_a_signal_wakes_the_run_is_stale(server: Server) -> None:
    run = waiting(server.store)

    sent, restarted = server.in_turn("signal", sending(server.store, run), restarting(server.store, run))

    now = run_of(server.store, run.id)
    assert (sent, restarted) == (Sent(1), Stale(now))
    assert (now.status, now.reason, now.generation) == (RunStatus.PENDING, "SignalReceived", 1)
    assert names(server.store.list_steps(run.id)) == ["a"]


def test_a_signal_that_comes_while_the_run_is_restarted_is_kept_for_the_new_generation(server: Server) -> None:
    run = waiting(server.store)

    restarted, sent = server.in_turn("event", restarting(server.store, run), sending(server.store, run))

    assert isinstance(restarted, Changed)
    assert sent == Sent(1)
    now = run_of(server.store, run.id)
    assert (now.status, now.reason, now.generation, now.signal_seq) == (RunStatus.PENDING, "Restarted", 2, 1)
    assert [signal.consumed_by for signal in server.store.list_signals(run.id)] == [""]


def test_the_same_restart_twice_at_once_is_done_once(server: Server) -> None:
    run = waiting(server.store)

    one, other = server.in_turn("event", restarting(server.store, run), restarting(server.store, run))

    assert one == other == Changed(run_of(server.store, run.id))
    assert run_of(server.store, run.id).generation == 2
    assert [each.number for each in server.store.list_tries(run.id)] == [1]


def test_of_two_restarts_at_once_one_is_stale(server: Server) -> None:
    run = waiting(server.store)

    one, other = server.in_turn("event", restarting(server.store, run, "1"), restarting(server.store, run, "2"))

    assert (one, other) == (Changed(run_of(server.store, run.id)), Stale(run_of(server.store, run.id)))
    assert run_of(server.store, run.id).restart_id == "1"


def test_a_mint_that_comes_while_the_run_is_restarted_is_stale(server: Server) -> None:
    """Else it would begin an attempt that had read what is being forgotten."""
    run = ended(_stopped(server.store), to=RunStatus.INTERRUPTED)

    restarted, minted = server.in_turn(
        "event",
        restarting(server.store, run),
        lambda: server.store.mint(run.id, Expected.of(run), "c" * 32),
    )

    assert isinstance(restarted, Changed)
    assert minted == Stale(restarted.run)
    assert server.store.list_steps(run.id) == ()


def _stopped(store: SqlStore) -> Worker:
    worker = started(store)
    worker.finish("a")
    return worker


@pytest.mark.parametrize("same_source", [True, False])
def test_forked_twice_at_once_it_is_one_run_with_one_history(server: Server, same_source: bool) -> None:
    store = server.store
    sources = [_stopped(store).fence.run_id for _ in range(2)]
    new = NewRun(id="copy", namespace="default", name="copy")

    one, other = server.in_turn(
        "step",
        lambda: store.fork_run(sources[0], new, None),
        lambda: store.fork_run(sources[0 if same_source else 1], new, None),
    )

    assert one == other == run_of(store, "copy")
    assert one.forked_from == sources[0]
    assert names(store.list_steps("copy")) == ["a"]


def test_a_sweep_leaves_a_run_that_is_restarted_meanwhile(server: Server) -> None:
    store = server.store
    worker = _stopped(store)
    worker.end(RunStatus.FAILED, expires_after_ms=0)
    run = ended(worker, EndKind.COMPLETION, RunStatus.FAILED, cause="Completed")
    assert run.expires is not None

    restarted, removed = server.in_turn("event", restarting(store, run), store.collect)

    assert isinstance(restarted, Changed)
    assert removed == 0
    assert run_of(store, run.id).generation == 2
