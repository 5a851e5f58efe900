"""The store's clock jumps an hour ahead and back while a worker writes: nothing is lost or out of order."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resumable.state.outcome import Begun, Sent
from resumable.state.record import EndKind, RunStatus, Step
from resumable.state.sql.store import SqlStore
from resumable.state.store import Expected, NewSignal, RestartRequest, Store
from tests.contract.runs import changed, ended, next_worker, resumed, run_of, started
from tests.faults.false_clock import FalseClock, false_clock
from tests.faults.steady_worker import nothing_is_lost, start
from tests.sdk.process import Workplace
from tests.sdk.worker_runs import RUN
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql

STEPS = 120
JUMPS = ((20, +1), (60, -1), (90, 0))  # after so many steps, to so many hours from the real time


@dataclass
class Server:
    url: str
    clock: FalseClock


@pytest.fixture(params=[postgresql, mariadb], ids=lambda start: start.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with ExitStack() as running:
        clock = running.enter_context(false_clock())
        server = running.enter_context(request.param(environment=clock.environment))
        yield Server(server.new_database(), clock)


@pytest.fixture
def store(server: Server) -> Iterator[SqlStore]:
    with closing(SqlStore(server.url)) as opened:
        opened.migrate()
        yield opened


def ahead(store: Store) -> int:
    """How many hours the store's clock is from ours, rounded."""
    return round((store.info().now - datetime.now(UTC)) / timedelta(hours=1))


def hours_seen(steps: tuple[Step, ...]) -> set[int]:
    """On how many different hours the steps say that they were finished."""
    return {round((step.finished - datetime.now(UTC)) / timedelta(hours=1)) for step in steps if step.finished}


def test_a_worker_goes_on_through_jumps_of_a_servers_clock(server: Server, store: SqlStore, place: Workplace) -> None:
    process = start(place, store, server.url, steps=STEPS)

    for acknowledged, hours in JUMPS:
        process.wait_for_effect(f"acknowledged {acknowledged}")
        server.clock.set(hours=hours)
        assert ahead(store) == hours

    nothing_is_lost(place, store, process, steps=STEPS)
    assert hours_seen(store.list_steps(RUN)) == {0, 1, -1}, "the jumps came while steps were written"


def test_a_worker_goes_on_through_jumps_of_its_machines_clock(place: Workplace, tmp_path: Path) -> None:
    """SQLite's clock is that of the machine."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with false_clock() as clock, closing(SqlStore(url)) as store:
        process = start(place, store, url, steps=STEPS, environment=clock.environment)

        for acknowledged, hours in JUMPS:
            process.wait_for_effect(f"acknowledged {acknowledged}")
            clock.set(hours=hours)

        nothing_is_lost(place, store, process, steps=STEPS)
        assert hours_seen(store.list_steps(RUN)) == {0, 1, -1}


@pytest.mark.parametrize("hours", [+1, -1])
def test_attempts_signals_and_restarts_keep_their_order(server: Server, store: SqlStore, hours: int) -> None:
    worker = started(store)
    run_id = worker.fence.run_id
    worker.finish("a", 1, ordinal=0)
    assert store.send_signal(run_id, NewSignal(id="first", name="go")) == Sent(1)

    server.clock.set(hours=hours)

    assert store.send_signal(run_id, NewSignal(id="second", name="go")) == Sent(2)
    worker.save("b", 5, ordinal=1)
    second = resumed(worker)
    assert isinstance(second.begun, Begun)
    assert [signal.id for signal in second.begun.signals] == ["first", "second"]
    assert [step.name for step in second.begun.steps] == ["a", "b"]
    assert [cursor.name for cursor in second.begun.cursors] == ["b"]
    second.finish("b", 2, ordinal=1)
    second.end(RunStatus.SUCCEEDED)
    over = ended(second, EndKind.COMPLETION, to=RunStatus.SUCCEEDED, cause="Completed")

    server.clock.set(hours=0)

    again = changed(store.restart(run_id, Expected.of(over), RestartRequest(request_id="r")))
    third = next_worker(store, again)
    assert third.begun is not None
    assert [step.name for step in third.begun.steps] == ["a", "b"]
    assert [event.type for event in store.list_events(run_id)][-3:] == ["Restarted", "Minted", "Begun"]
    view = store.view(run_id)
    assert view is not None
    assert [attempt.number for attempt in view.attempts] == [1, 2, 3]


def test_what_is_kept_for_two_hours_outlives_a_jump_of_one(server: Server, store: SqlStore) -> None:
    worker = started(store)
    hour = 3_600_000
    worker.finish("two hours", 1, ordinal=0, expires_after_ms=2 * hour)
    worker.finish("half an hour", 1, ordinal=1, expires_after_ms=hour // 2)

    server.clock.set(hours=-1)
    assert store.collect() == 0
    server.clock.set(hours=+1)
    assert store.collect() == 1

    begun = next_worker(store, ended(worker)).begun
    assert begun is not None
    assert [step.name for step in begun.steps] == ["two hours"]
    assert [step.name for step in begun.expired] == ["half an hour"]
    assert run_of(store, worker.fence.run_id).status is RunStatus.RUNNING
