"""What was done straight to the store: noticed once, and asked about in one call whatever the number of jobs."""

import asyncio
from collections.abc import Iterator

import pytest

from resumable.controller.cache import JobKey
from resumable.controller.wakeups import Wakeups
from resumable.state.outcome import Changed, Sent
from resumable.state.record import EndKind, Run, RunStatus, Write
from resumable.state.sql.store import SqlStore
from resumable.state.store import AttemptEnd, Beginning, Expected, NewRun, NewSignal, RestartRequest, RunEnd


@pytest.fixture
def store() -> Iterator[SqlStore]:
    store = SqlStore("sqlite://")
    yield store
    store.close()


def waiting(store: SqlStore, run_id: str, *, on: tuple[str, ...] = ("approval",)) -> Run:
    """A run whose attempt left to wait and is counted."""
    run = store.create_run(NewRun(id=run_id, namespace="shop", name=run_id))
    minted = store.mint(run_id, Expected.of(run), f"nonce-{run_id}")
    assert isinstance(minted, Changed)
    store.begin(minted.run.fence, Beginning(process_id="p"))
    end = RunEnd(status=RunStatus.WAITING, wake_on=on, signal_seq=0)
    store.end_run(minted.run.fence, Write("write", 1), end)
    counted = store.count_end(
        run_id, AttemptEnd(attempt=1, kind=EndKind.COMPLETION, cause="Waiting", to=RunStatus.WAITING)
    )
    assert isinstance(counted, Changed)
    assert counted.run.status is RunStatus.WAITING
    return counted.run


def key(run_id: str) -> JobKey:
    return JobKey("shop", run_id)


def send(store: SqlStore, run_id: str, name: str = "approval") -> None:
    assert isinstance(store.send_signal(run_id, NewSignal(id=f"{run_id}-{name}", name=name)), Sent)


def test_a_signal_has_its_job_looked_at_and_no_other(store: SqlStore) -> None:
    looked_at: list[JobKey] = []
    wakeups = Wakeups(store, looked_at.append)
    for name in ("a", "b", "c"):
        wakeups.note(key(name), waiting(store, name))
    asyncio.run(wakeups.ask())
    assert looked_at == []

    send(store, "b")
    send(store, "c", "another name")
    asyncio.run(wakeups.ask())
    assert looked_at == [key("b")]


def test_it_is_asked_for_until_the_job_was_looked_at(store: SqlStore) -> None:
    looked_at: list[JobKey] = []
    wakeups = Wakeups(store, looked_at.append)
    wakeups.note(key("a"), waiting(store, "a"))
    send(store, "a")
    asyncio.run(wakeups.ask())
    asyncio.run(wakeups.ask())
    assert looked_at == [key("a")] * 2

    run = store.get_run("a")
    assert run is not None
    wakeups.note(key("a"), run)  # looked at, and it can't start: a full quota, say
    asyncio.run(wakeups.ask())
    assert looked_at == [key("a")] * 2


def test_a_run_whose_next_attempt_is_minted_is_not_in_the_answer_any_more(store: SqlStore) -> None:
    waiting(store, "a")
    send(store, "a")
    assert store.list_woken() == ("a",)
    run = store.get_run("a")
    assert run is not None
    store.mint("a", Expected.of(run), "nonce-2")
    assert store.list_woken() == ()


def test_a_restart_by_the_command_line_is_noticed(store: SqlStore) -> None:
    looked_at: list[JobKey] = []
    wakeups = Wakeups(store, looked_at.append)
    run = waiting(store, "a")
    wakeups.note(key("a"), run)
    store.restart("a", Expected.of(run), RestartRequest(request_id="1"))
    asyncio.run(wakeups.ask())
    assert looked_at == [key("a")]


def test_a_job_that_is_gone_is_forgotten(store: SqlStore) -> None:
    looked_at: list[JobKey] = []
    wakeups = Wakeups(store, looked_at.append)
    wakeups.note(key("a"), waiting(store, "a"))
    wakeups.forget("a")
    send(store, "a")
    asyncio.run(wakeups.ask())
    assert looked_at == []
