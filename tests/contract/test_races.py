"""Races that every store must survive, hammered: whatever the order turns out to be, the invariants hold.

The orders themselves are tested one by one where a store lets a test hold them (`test_postgresql`, `test_sqlite`).
"""

import threading
from concurrent.futures import ThreadPoolExecutor

from resumable.state.outcome import Begun, Changed, Fenced, Stale, Stopped, Stored
from resumable.state.record import EndKind, RunStatus
from resumable.state.store import AttemptEnd, Expected, Store
from tests.contract.runs import Worker, minted, new_run, run_of, started


def test_no_step_of_an_attempt_lands_after_the_next_one_has_read(store: Store) -> None:
    worker = started(store)
    with ThreadPoolExecutor() as threads:
        for _ in range(5):
            acknowledged: list[str] = []
            writing = threads.submit(_write_until_refused, worker, acknowledged)
            _wait_for_some(acknowledged)
            successor = Worker(store, minted(store, run_of(store, worker.fence.run_id)).fence)
            begun = successor.begin()
            assert isinstance(begun, Begun)
            assert isinstance(writing.result(30), Fenced)
            read = {step.name for step in begun.steps}
            assert read >= set(acknowledged)  # what was acknowledged is never lost
            assert {step.name for step in store.list_steps(worker.fence.run_id)} == read  # and nothing came later
            worker = successor


def _write_until_refused(worker: Worker, acknowledged: list[str]) -> object:
    while True:
        name = f"step-{worker.fence.attempt}-{len(acknowledged)}"
        outcome = worker.finish(name)
        if outcome != Stored():
            return outcome
        acknowledged.append(name)


def _wait_for_some(acknowledged: list[str]) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        if len(acknowledged) >= 3:
            return
        waiting.wait(0.005)
    raise AssertionError(f"only {len(acknowledged)} steps were stored in 10 s")


def test_of_many_mints_at_once_one_wins(store: Store) -> None:
    run = new_run(store)
    together = threading.Barrier(6)

    def mint(number: int) -> object:
        together.wait(20)
        return store.mint(run.id, Expected.of(run), f"{number:032x}")

    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(mint, range(6)))
    assert [type(outcome) for outcome in outcomes].count(Changed) == 1
    assert outcomes.count(Stale(run_of(store, run.id))) == 5
    assert run_of(store, run.id).attempt == 1


def test_of_many_processes_that_begin_at_once_one_is_the_attempts(store: Store) -> None:
    run = minted(store, new_run(store))
    together = threading.Barrier(6)

    def begin(_: int) -> object:
        worker = Worker(store, run.fence)
        together.wait(20)
        return worker.begin()

    with ThreadPoolExecutor(6) as threads:
        kinds = [type(outcome) for outcome in threads.map(begin, range(6))]
    assert (kinds.count(Begun), kinds.count(Fenced)) == (1, 5)


def test_an_end_and_a_count_at_once_leave_one_of_the_two(store: Store) -> None:
    for _ in range(5):
        worker = started(store)
        together = threading.Barrier(2)
        end = AttemptEnd(attempt=1, kind=EndKind.INTERRUPTION, cause="Evicted", to=RunStatus.INTERRUPTED)

        def count(worker: Worker = worker, together: threading.Barrier = together, end: AttemptEnd = end) -> object:
            together.wait(20)
            return worker.store.count_end(worker.fence.run_id, end)

        with ThreadPoolExecutor() as threads:
            counting = threads.submit(count)
            together.wait(20)
            ending = worker.end(RunStatus.SUCCEEDED)
            assert isinstance(counting.result(20), Changed)
        status = run_of(store, worker.fence.run_id).status
        assert (ending, status) in (
            (Stored(), RunStatus.SUCCEEDED),
            (Stopped(RunStatus.INTERRUPTED), RunStatus.INTERRUPTED),
        )
