"""A worker can touch its own run and nothing else, over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest

from resumable.state.outcome import Begun, Fenced, NotBound, Stored, StoreRefused, StoreUnavailable
from resumable.state.record import Encoded, EndKind, Fence, RunStatus
from resumable.state.store import (
    AttemptEnd,
    Beginning,
    Expected,
    FinishedStep,
    NewRun,
    NewSignal,
    RestartRequest,
    RunEnd,
    SavedCursor,
    StartedStep,
    StepActivity,
    Store,
)
from tests.unit.service.conftest import Service, write

WORKER_CALLS: dict[str, Callable[[Store, Fence], object]] = {
    "begin": lambda store, fence: store.begin(fence, Beginning(process_id="process", pod_uid="uid-a")),
    "start-step": lambda store, fence: store.start_step(fence, write(), StartedStep(name="step")),
    "finish-step": lambda store, fence: store.finish_step(fence, write(), FinishedStep(name="step")),
    "save-cursor": lambda store, fence: store.save_cursor(fence, write(), SavedCursor(name="step")),
    "heartbeat": lambda store, fence: store.heartbeat(fence, (StepActivity(name="step"),)),
    "save-payload": lambda store, fence: store.save_payload(fence, write(), Encoded("json", b"{}")),
    "read-signals": lambda store, fence: store.read_signals(fence),
    "forget-step": lambda store, fence: store.forget_step(fence, write(), "step", ""),
    "end": lambda store, fence: store.end_run(fence, write(), RunEnd(status=RunStatus.SUCCEEDED)),
}

EXPECTED = Expected(1, RunStatus.RUNNING, 1)
END = AttemptEnd(attempt=1, kind=EndKind.FAILURE, cause="Error", to=RunStatus.FAILED)
CONTROLLER_CALLS: dict[str, Callable[[Store], object]] = {
    "info": lambda store: store.info(),
    "create": lambda store: store.create_run(NewRun(id="new", namespace="team-a", name="new")),
    "get": lambda store: store.get_run("a"),
    "view": lambda store: store.view("a"),
    "list runs": lambda store: store.list_runs("team-a"),
    "list steps": lambda store: store.list_steps("a"),
    "list cursors": lambda store: store.list_cursors("a"),
    "list events": lambda store: store.list_events("a"),
    "list signals": lambda store: store.list_signals("a"),
    "list tries": lambda store: store.list_tries("a"),
    "list woken": lambda store: store.list_woken(),
    "send signal": lambda store: store.send_signal("a", NewSignal(id="s", name="go")),
    "restart": lambda store: store.restart("a", EXPECTED, RestartRequest(request_id="again")),
    "fork": lambda store: store.fork_run("a", NewRun(id="copy", namespace="team-a", name="copy"), None),
    "collect": lambda store: store.collect(),
    "set input": lambda store: store.set_input("a", EXPECTED, None),
    "mint": lambda store: store.mint("a", EXPECTED, "nonce"),
    "bind pod": lambda store: store.bind_pod("a", 1, "nonce", pod_name="a-r1", pod_uid="uid-a"),
    "request stop": lambda store: store.request_stop("a", 1, "Suspended"),
    "count end": lambda store: store.count_end("a", END),
    "settle": lambda store: store.settle("a", EXPECTED, RunStatus.FAILED, reason="Why"),
    "delete": lambda store: store.delete_run("a"),
}


class Recorder:
    """Stands for a store and notes which of its methods are called."""

    def __init__(self) -> None:
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Callable[..., None]:
        self.called.add(name)
        return lambda *_, **__: None


def test_no_call_of_the_store_is_left_out_of_these_tests() -> None:
    recorder: Any = Recorder()
    for worker_call in WORKER_CALLS.values():
        worker_call(recorder, Fence("a", 1, "nonce"))
    for controller_call in CONTROLLER_CALLS.values():
        controller_call(recorder)

    assert recorder.called == {name for name in dir(Store) if not name.startswith("_")} - {"close"}


@pytest.mark.parametrize("call", WORKER_CALLS)
@pytest.mark.parametrize("caller", ["pod-b", "pod-other", "person"])
def test_a_wrong_pod_is_refused_even_with_the_right_fence(service: Service, caller: str, call: str) -> None:
    """The fence may leak (a log, an environment dump); without the pod's token it opens nothing."""
    fence = service.begun("a", "uid-a")
    before = service.store.view("a")

    with pytest.raises(StoreRefused, match=r"403: .* pod"):
        WORKER_CALLS[call](service.client(caller), fence)

    after = service.store.view("a")
    assert before is not None
    assert after is not None
    assert (after.run, after.attempts, after.steps) == (before.run, before.attempts, before.steps)


@pytest.mark.parametrize("call", WORKER_CALLS)
def test_a_uid_of_another_namespace_opens_nothing(service: Service, call: str) -> None:
    fence = service.begun("a", "uid-a", namespace="team-b")

    with pytest.raises(StoreRefused, match="is not the pod of this run's attempt"):
        WORKER_CALLS[call](service.client("pod-a"), fence)


@pytest.mark.parametrize("call", CONTROLLER_CALLS)
@pytest.mark.parametrize("caller", ["pod-a", "person"])
def test_a_worker_neither_reads_nor_controls_its_own_run(service: Service, caller: str, call: str) -> None:
    service.begun("a", "uid-a")
    before = service.store.get_run("a")

    with pytest.raises(StoreRefused, match=r"403: .* not the controller's"):
        CONTROLLER_CALLS[call](service.client(caller))

    assert service.store.get_run("a") == before


@pytest.mark.parametrize("call", CONTROLLER_CALLS)
def test_the_controller_does_everything(service: Service, call: str) -> None:
    service.begun("a", "uid-a")

    CONTROLLER_CALLS[call](service.client("controller"))


@pytest.mark.parametrize("call", WORKER_CALLS)
@pytest.mark.parametrize("token", [None, "expired"])
def test_who_proves_nothing_is_away_and_not_refused(service: Service, token: str | None, call: str) -> None:
    fence = service.begun("a", "uid-a")

    with pytest.raises(StoreUnavailable, match="401"):
        WORKER_CALLS[call](service.client(token), fence)


def test_the_bound_pod_begins_and_finishes_its_run(service: Service) -> None:
    fence = service.bound("a", "uid-a")
    mine = service.client("pod-a")

    assert isinstance(WORKER_CALLS["begin"](mine, fence), Begun)
    assert isinstance(WORKER_CALLS["finish-step"](mine, fence), Stored)
    assert isinstance(mine.end_run(fence, write(2), RunEnd(status=RunStatus.SUCCEEDED)), Stored)
    run = service.store.get_run("a")
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED


def test_a_pod_that_is_early_is_told_to_ask_again(service: Service) -> None:
    fence = service.minted("a")

    assert WORKER_CALLS["begin"](service.client("pod-a"), fence) == NotBound(1)


def test_the_proven_uid_counts_and_not_the_one_that_is_said(service: Service) -> None:
    """Not bound yet, so that the service lets it through and the store is the one that compares."""
    fence = service.minted("a")
    liar = service.client("pod-b")
    assert liar.begin(fence, Beginning(process_id="process", pod_uid="uid-a")) == NotBound(1)

    service.store.bind_pod("a", fence.attempt, fence.nonce, pod_name="a-r1", pod_uid="uid-a")

    with pytest.raises(StoreRefused):
        liar.begin(fence, Beginning(process_id="process", pod_uid="uid-a"))


def test_a_zombie_is_fenced_and_not_refused(service: Service) -> None:
    zombie = service.begun("a", "uid-a")
    run = service.store.get_run("a")
    assert run is not None
    service.store.mint("a", Expected.of(run), "another nonce")
    client = service.client("pod-a")

    for name, call in WORKER_CALLS.items():
        outcome = call(client, zombie)
        assert isinstance(outcome, Fenced), name
        assert outcome.attempt == 2


def test_a_run_that_was_deleted_fences_its_worker(service: Service) -> None:
    fence = service.begun("a", "uid-a")
    client = service.client("pod-a")
    assert isinstance(WORKER_CALLS["heartbeat"](client, fence), Stored)  # so that the service knows the pod

    service.store.delete_run("a")

    assert isinstance(WORKER_CALLS["heartbeat"](client, fence), Fenced)
    assert isinstance(WORKER_CALLS["heartbeat"](client, Fence("never", 1, "nonce")), Fenced)


def test_an_attempt_that_the_store_does_not_know_is_fenced(service: Service) -> None:
    """The store went back in time: attempt 2 was minted, and now it was not."""
    service.begun("a", "uid-a")

    outcome = WORKER_CALLS["heartbeat"](service.client("pod-a"), Fence("a", 2, "nonce of the lost attempt"))

    assert isinstance(outcome, Fenced)
