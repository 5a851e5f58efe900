"""Two attempts of one run meet at each call that a worker makes: the stale one changes nothing.

The stale worker's calls are those of real jobs, recorded. Whatever happens, and wherever its call is stopped, what the
store has of the run when the successor has begun is what it has at the end.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from resumable.state.open import open_store
from resumable.state.outcome import Begun, Changed, Fenced
from resumable.state.record import RECORD_VERSION, Fence, Run, RunStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import Beginning, Expected, NewRun, Store, WorkerStore
from tests.crash.controller import Lane
from tests.crash.recording import Call, Moment, distinct, recorded
from tests.crash.stores import STORES
from tests.crash.subject import names, subject
from tests.crash.wire import Holding

# How long a successor is given to get through while the stale call is stopped. It may be made to wait for it: then the
# stale call goes on first. Both orders are right, so nothing depends on this but how often each is seen.
_GETS_THROUGH_WITHIN = 0.05


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
def moments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Moment]:
    """Each call that the subjects make, in each shape in which they make it."""
    return distinct(
        {
            name: recorded(subject(name), tmp_path_factory.mktemp(f"recorded-{name}"))
            for name in names()
            if not subject(name).by_hand
        }
    )


@pytest.fixture(params=STORES)
def met(request: pytest.FixtureRequest, lanes_of: Callable[[str], list[Lane]]) -> Iterator[Meeting]:
    with meeting(lanes_of(request.param)[0]) as opened:
        yield opened


def up_to(met: Meeting, calls: Sequence[Call]) -> Fence:
    """A run whose first attempt has made these calls."""
    store = met.store
    run = store.create_run(NewRun(id=secrets.token_hex(8), namespace="fencing", name="job"))
    fence = minted(store, run.id)
    assert fence is not None
    met.stale.get_run(run.id)  # connect now, not within the call that is looked at
    for call in calls:
        answer = call.make(met.stale, fence)
        assert not isinstance(answer, Fenced), answer
    return fence


def minted(store: Store, run_id: str) -> Fence | None:
    """The next attempt's fence; None when the run is over. As the controller does: read, compare and set, again."""
    for _ in range(20):  # each refusal is a change of the run by the stale call, which makes one
        run = store.get_run(run_id)
        assert run is not None
        if run.status.terminal:
            return None
        if run.status is RunStatus.WAITING:
            store.settle(run_id, Expected.of(run), RunStatus.PENDING, reason="TimerDue")
            continue
        match store.mint(run_id, Expected.of(run), secrets.token_hex(16)):
            case Changed(run):
                return run.fence
    raise AssertionError(f"run {run_id} can't be minted: {store.get_run(run_id)}")


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


def test_a_stale_call_changes_nothing(met: Meeting, moments: dict[str, Moment]) -> None:
    for name, moment in moments.items():
        fence = up_to(met, moment.before)
        successor = succeed(met.store, fence.run_id)
        assert isinstance(moment.call.make(met.stale, fence), Fenced), name
        assert record(met.store, fence.run_id) == successor.record, name


def test_a_call_whose_reply_was_lost_and_that_is_sent_again_after_a_mint_changes_nothing(
    met: Meeting, moments: dict[str, Moment]
) -> None:
    for name, moment in moments.items():
        fence = up_to(met, (*moment.before, moment.call))
        successor = succeed(met.store, fence.run_id)
        for late in (moment.call, *moment.after[:1]):
            answer = late.make(met.stale, fence)
            assert isinstance(answer, Fenced) or successor.fence is None, f"{name}: {answer}"  # it had ended the run
        assert record(met.store, fence.run_id) == successor.record, name


@pytest.mark.timeout(600)
def test_a_call_that_is_stopped_inside_while_a_successor_begins_lands_before_it_or_not_at_all(
    met: Meeting, moments: dict[str, Moment]
) -> None:
    for name, moment in moments.items():
        for place in count(1):
            fence = up_to(met, moment.before)
            held = _meet(met, moment.call, fence, place)
            if held is None:
                assert place > 1, f"{name} was stopped nowhere"
                break
            answer, successor = held
            assert record(met.store, fence.run_id) == successor.record, f"{name}, stopped at {place}: {answer}"
            assert isinstance(moment.call.make(met.stale, fence), Fenced) or successor.fence is None, name


def _meet(met: Meeting, call: Call, fence: Fence, place: int) -> tuple[Any, Succession] | None:
    """The call's answer, and the successor that began while it was stopped; None: it has no such place."""
    with ThreadPoolExecutor(2) as threads:
        met.holding.hold(place)
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
    lanes_of: Callable[[str], list[Lane]], moments: dict[str, Moment]
) -> None:
    with meeting(lanes_of("sqlite")[0]) as met:
        moment = next(moment for moment in moments.values() if moment.call.name == "finish_step")
        fence = up_to(met, moment.before)
        successor = succeed(met.store, fence.run_id)
        moment.call.make(Unfenced(met.stale), fence)  # type: ignore[arg-type]
        assert record(met.store, fence.run_id) != successor.record


def test_the_calls_are_all_that_a_worker_has(moments: dict[str, Moment]) -> None:
    made = {moment.call.name for moment in moments.values()}
    every = {name for name in vars(WorkerStore) if not name.startswith("_")}
    # `heartbeat` comes by the clock (tests/contract has it), `save_payload` before the end only if it was changed.
    assert made >= every - {"heartbeat", "read_signals"}, every - made
