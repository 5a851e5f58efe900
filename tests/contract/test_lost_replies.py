"""The connection is lost after the server has committed and before its answer arrives.

Nobody knows then whether the write landed: `StoreUnavailable`. The same write, sent again, is told that it did.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from resumable.state.outcome import AlreadyStored, Started, Stored, StoreUnavailable
from resumable.state.record import RunStatus, StepStatus, Write
from resumable.state.sql.store import SqlStore
from resumable.state.store import NewSignal, RunEnd, StartedStep
from tests.contract.runs import Worker, encoded, run_of, started, step_of
from tests.contract.stores import Surroundings
from tests.servers.lossy_proxy import LossyProxy, lossy_proxy


@pytest.fixture(params=["postgresql", "mariadb"])
def through_proxy(request: pytest.FixtureRequest, surroundings: Surroundings) -> Iterator[tuple[SqlStore, LossyProxy]]:
    """A store on an empty database, and the proxy before its server."""
    server = surroundings.postgresql() if request.param == "postgresql" else surroundings.mariadb()
    url = make_url(server.new_database())
    with lossy_proxy("127.0.0.1", server.port) as proxy:
        near = make_url(f"{request.param}://resumable@127.0.0.1:{proxy.port}/{url.database}")
        with closing(SqlStore(near.render_as_string(hide_password=False))) as store:
            store.migrate()
            yield store, proxy


COMMIT = re.compile(rb"COMMIT(?!TED)")  # BEGIN ISOLATION LEVEL READ COMMITTED is another one
Call = Callable[[Worker, Write], Any]


def finish_with_everything(worker: Worker, write: Write) -> Any:
    return worker.finish("approval", 1, write=write, payload=encoded({"n": 1}), consumes="s", signal_seq=1)


def save_with_payload(worker: Worker, write: Write) -> Any:
    return worker.save("import", 5, write=write, payload=encoded({"n": 1}))


def payload(worker: Worker, write: Write) -> Any:
    return worker.store.save_payload(worker.fence, write, encoded({"n": 1}))


def leave(worker: Worker, write: Write) -> Any:
    end = RunEnd(status=RunStatus.WAITING, wake_on=("approval",), signal_seq=1)
    return worker.store.end_run(worker.fence, write, end)


@pytest.mark.parametrize("call", [finish_with_everything, save_with_payload, payload, leave])
def test_a_write_whose_commit_was_not_answered_has_landed_once(
    through_proxy: tuple[SqlStore, LossyProxy], call: Call
) -> None:
    store, proxy = through_proxy
    worker = started(store)
    store.send_signal(worker.fence.run_id, NewSignal(id="s", name="approval"))
    write = worker.write()
    proxy.lose_reply_to(COMMIT)
    with pytest.raises(StoreUnavailable):
        call(worker, write)
    assert proxy.lost.is_set()
    after = run_of(store, worker.fence.run_id), store.list_steps(worker.fence.run_id)
    assert call(worker, write) == AlreadyStored("", 1)
    assert (run_of(store, worker.fence.run_id), store.list_steps(worker.fence.run_id)) == after


def test_a_forget_whose_commit_was_not_answered_is_done(through_proxy: tuple[SqlStore, LossyProxy]) -> None:
    store, proxy = through_proxy
    worker = started(store)
    worker.finish("load", error="no")
    write = Write("f" * 32, 9)
    proxy.lose_reply_to(COMMIT)
    with pytest.raises(StoreUnavailable):
        worker.forget("load", write=write)
    assert store.list_steps(worker.fence.run_id) == ()
    assert worker.forget("load", write=write) == Stored()
    assert [each.number for each in store.list_tries(worker.fence.run_id)] == [1]


def test_a_start_that_was_not_answered_keeps_its_deadline(through_proxy: tuple[SqlStore, LossyProxy]) -> None:
    store, proxy = through_proxy
    worker = started(store)
    worker.start("warm-up")
    write = worker.write()
    step = StartedStep(name="approval", deadline_after_ms=60_000)
    proxy.lose_next_reply()
    with pytest.raises(StoreUnavailable):
        store.start_step(worker.fence, write, step)
    again = store.start_step(worker.fence, write, step)
    assert isinstance(again, Started)
    stored = step_of(worker, "approval")
    assert (stored.status, stored.deadline, stored.tries) == (StepStatus.STARTED, again.deadline, 1)
