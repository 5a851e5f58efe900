"""Two attempts of one run meet at each call that a worker makes: the stale one changes nothing.

The stale worker's calls are those of real jobs, recorded. Whatever happens, and wherever its call is stopped, what the
store has of the run when the successor has begun is what it has at the end.
"""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from resumable.state.open import open_store
from resumable.state.outcome import Begun, Changed, Fenced
from resumable.state.record import RECORD_VERSION, Fence, Run
from resumable.state.sql.store import SqlStore
from resumable.state.store import Beginning, Expected, NewRun, Store
from tests.crash.controller import Lane
from tests.crash.recording import Call, firsts, recorded
from tests.crash.stores import STORES
from tests.crash.subject import names, subject
from tests.crash.wire import Holding

# How long a successor is given to get through while the stale call is stopped. It may be made to wait for it: then the
# stale call goes on first. Both orders are right, so nothing depends on this but how often each is seen.
_GETS_THROUGH_WITHIN = 0.15


@dataclass
class Meeting:
    """Where two attempts meet: the stale worker's store can be stopped inside a call."""

    store: Store  # the controller's and the successor's
    stale: Store
    holding: Holding


@contextmanager
def meeting(lane: Lane) -> Iterator[Meeting]:
    """On a server a request is held in the proxy, on SQLite a statement before it is executed."""
    with closing(open_store(lane.url)) as stale:
        if lane.proxy:
            yield Meeting(lane.store, stale, lane.proxy.holding)
        else:
            assert isinstance(stale, SqlStore)
            holding = Holding()
            event.listen(
                stale.database.engine, "checkout", lambda dbapi, *_: dbapi.set_trace_callback(lambda _: holding.met())
            )
            yield Meeting(lane.store, stale, holding)


@pytest.fixture(scope="module")
def calls_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Call]]:
    known: dict[str, list[Call]] = {}

    def calls(name: str) -> list[Call]:
        if name not in known:
            known[name] = recorded(subject(name), tmp_path_factory.mktemp(f"recorded-{name}"))
        return known[name]

    return calls


@pytest.fixture(params=STORES)
def met(request: pytest.FixtureRequest, lanes_of: Callable[[str], list[Lane]]) -> Iterator[Meeting]:
    with meeting(lanes_of(request.param)[0]) as opened:
        yield opened


SUBJECTS = [name for name in names() if not subject(name).by_hand]


def up_to(met: Meeting, calls: list[Call], at: int) -> Fence:
    """A run whose first attempt has made all calls before the one at `at`."""
    store = met.store
    run = store.create_run(NewRun(id=secrets.token_hex(8), namespace="fencing", name="job"))
    fence = minted(store, run.id)
    assert fence is not None
    met.stale.get_run(run.id)  # connect now, not within the call that is looked at
    for call in calls[:at]:
        answer = call.make(met.stale, fence)
        assert not isinstance(answer, Fenced), answer
    return fence


def minted(store: Store, run_id: str) -> Fence | None:
    """The next attempt's fence; None when the run is over. As the controller does: read, compare and set, again."""
    while True:
        run = store.get_run(run_id)
        assert run is not None
        if run.status.terminal:
            return None
        match store.mint(run_id, Expected.of(run), secrets.token_hex(16)):
            case Changed(run):
                return run.fence


@dataclass(frozen=True)
class Succession:
    """The next attempt has begun, and this is what the store had of the run at that moment."""

    fence: Fence | None
    record: bytes


def succeed(store: Store, run_id: str) -> Succession:
    fence = minted(store, run_id)
    if fence is not None:
        begun = store.begin(fence, Beginning(process_id=secrets.token_hex(16), record_version=RECORD_VERSION))
        assert isinstance(begun, Begun), begun
    return Succession(fence, record(store, run_id))


_LISTS = ("list_steps", "list_cursors", "list_tries", "list_signals", "list_events")


def record(store: Store, run_id: str) -> bytes:
    """All that the store has of the run."""
    view = store.view(run_id, steps=1000)
    assert view is not None
    everything: list[Any] = [
        store.get_run(run_id),
        view.attempts,
        view.steps,
        *(getattr(store, name)(run_id) for name in _LISTS),
    ]
    return msgspec.json.format(msgspec.json.encode(everything), indent=1)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_stale_call_changes_nothing(name: str, met: Meeting, calls_of: Callable[[str], list[Call]]) -> None:
    calls = calls_of(name)
    for at in firsts(calls):
        fence = up_to(met, calls, at)
        successor = succeed(met.store, fence.run_id)
        assert isinstance(calls[at].make(met.stale, fence), Fenced)
        assert record(met.store, fence.run_id) == successor.record, calls[at].name


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_call_whose_reply_was_lost_and_that_is_sent_again_after_a_mint_changes_nothing(
    name: str, met: Meeting, calls_of: Callable[[str], list[Call]]
) -> None:
    calls = calls_of(name)
    for at in firsts(calls):
        fence = up_to(met, calls, at + 1)
        successor = succeed(met.store, fence.run_id)
        for late in calls[at : at + 2]:
            answer = late.make(met.stale, fence)
            assert isinstance(answer, Fenced) or successor.fence is None, answer  # it had ended the run itself
        assert record(met.store, fence.run_id) == successor.record, calls[at].name


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_call_that_is_stopped_inside_while_a_successor_begins_lands_before_it_or_not_at_all(
    name: str, met: Meeting, calls_of: Callable[[str], list[Call]]
) -> None:
    calls = calls_of(name)
    for at in firsts(calls):
        call = calls[at]
        for moment in count(1):
            fence = up_to(met, calls, at)
            held = _meet(met, call, fence, moment)
            if held is None:
                assert moment > 1, f"{call.name} was stopped nowhere"
                break
            answer, successor = held
            assert record(met.store, fence.run_id) == successor.record, f"{call.name}, stopped at {moment}: {answer}"
            assert isinstance(call.make(met.stale, fence), Fenced) or successor.fence is None


def _meet(met: Meeting, call: Call, fence: Fence, moment: int) -> tuple[Any, Succession] | None:
    """The call's answer, and the successor that began while it was stopped; None: it has no such moment."""
    with ThreadPoolExecutor(2) as threads:
        met.holding.hold(moment)
        stale = threads.submit(call.make, met.stale, fence)
        while not met.holding.held.wait(0.002):
            if stale.done():
                met.holding.release()
                stale.result()
                return None
        successor = threads.submit(succeed, met.store, fence.run_id)
        wait([successor], _GETS_THROUGH_WITHIN)
        met.holding.release()
        return stale.result(30), successor.result(30)


class Unfenced:
    """A store that does not look at the fence: it takes whatever is the current one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        if not callable(call):
            return call

        def unfenced(*args: Any) -> Any:
            if args and isinstance(args[0], Fence):
                run: Run | None = self._store.get_run(args[0].run_id)
                assert run is not None
                args = (run.fence, *args[1:])
            return call(*args)

        return unfenced


def test_a_store_without_a_fence_would_be_found(
    lanes_of: Callable[[str], list[Lane]], calls_of: Callable[[str], list[Call]]
) -> None:
    with meeting(lanes_of("sqlite")[0]) as met:
        calls = calls_of("loop")
        at = next(at for at in firsts(calls) if calls[at].name == "finish_step")
        fence = up_to(met, calls, at)
        successor = succeed(met.store, fence.run_id)
        calls[at].make(Unfenced(met.stale), fence)  # type: ignore[arg-type]
        assert record(met.store, fence.run_id) != successor.record


def test_the_recorded_calls_are_all_that_a_worker_has(calls_of: Callable[[str], list[Call]], tmp_path: Path) -> None:
    made = {call.name for name in SUBJECTS for call in calls_of(name)}
    assert made >= {"begin", "finish_step", "save_cursor", "save_payload", "end_run"}
