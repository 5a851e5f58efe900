"""A server that crashes and comes back under load: nothing acknowledged is lost, no worker is started again."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TypeAlias

import pytest

from resumable.state.open import open_store
from resumable.state.outcome import AlreadyStored, Stored, StoreUnavailable, WriteOutcome
from resumable.state.record import StepStatus, Write, WriteRef
from resumable.state.sql.store import SqlStore
from tests.contract.runs import Worker, started
from tests.faults.steady_worker import nothing_is_lost, start
from tests.sdk.process import Workplace
from tests.servers.mariadb import MariaDBServer, mariadb
from tests.servers.postgresql import PostgreSQLServer, postgresql
from tests.servers.state_service import running_service

STEPS = 240

Server: TypeAlias = PostgreSQLServer | MariaDBServer


@pytest.fixture(params=[postgresql, mariadb], ids=lambda start: start.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as running:
        yield running


def crash_and_start(server: Server) -> None:
    """No checkpoint, no good-bye: what is not in its log of writes is lost."""
    # PostgreSQL's own processes outlive a SIGKILL of the first one; SIGQUIT makes all of them end where they are.
    server.process.stop(signal.SIGQUIT if isinstance(server, PostgreSQLServer) else signal.SIGKILL)
    server.process.start()


def url_for_workers(through: str, url: str, store: SqlStore, running: ExitStack) -> str:
    return url if through == "directly" else running.enter_context(running_service(store))


@pytest.mark.parametrize("through", ["directly", "through the service"])
def test_a_worker_waits_and_goes_on(server: Server, place: Workplace, through: str) -> None:
    url = server.new_database()
    with closing(SqlStore(url)) as store, ExitStack() as running:
        store.migrate()
        process = start(place, store, url_for_workers(through, url, store, running), steps=STEPS)

        for acknowledged in (20, 100, 180):
            process.wait_for_effect(f"acknowledged {acknowledged}")
            crash_and_start(server)

        with closing(SqlStore(url)) as judge:
            nothing_is_lost(place, judge, process, steps=STEPS)


@pytest.mark.parametrize("through", ["directly", "through the service"])
def test_of_many_writers_each_acknowledged_write_is_there_once(server: Server, through: str) -> None:
    url = server.new_database()
    with closing(SqlStore(url)) as store, ExitStack() as running, ThreadPoolExecutor(16) as threads:
        store.migrate()
        at = url_for_workers(through, url, store, running)
        enough = threading.Event()
        workers = [started(store) for _ in range(16)]
        for worker in workers:
            worker.store = running.enter_context(closing(open_store(at)))
        writing = [threads.submit(_write_until, enough, worker) for worker in workers]
        for _ in range(3):
            crash_and_start(server)
        enough.set()
        acknowledged = [each.result(60) for each in writing]

    assert min(acknowledged) > 0
    with closing(SqlStore(url)) as judge:
        for worker, count in zip(workers, acknowledged, strict=True):
            stored = judge.list_steps(worker.fence.run_id)
            assert {step.key for step in stored if step.status is StepStatus.DONE} == {str(n) for n in range(count)}


def _write_until(enough: threading.Event, worker: Worker) -> int:
    """How many steps were acknowledged; each write is sent until it is answered."""
    count = 0
    while not enough.is_set():
        write = worker.write()
        outcome = _answered(worker, write, count)
        assert isinstance(outcome, Stored | AlreadyStored), outcome
        worker.acknowledged = WriteRef("step", "s", str(count), write.write_id, write.sequence)
        count += 1
    return count


def _answered(worker: Worker, write: Write, number: int) -> WriteOutcome:
    deadline = time.monotonic() + 60
    while True:
        try:
            return worker.finish("s", key=str(number), ordinal=number, write=write)
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.02)
