"""Lets calls through, or not: reads what `authorization` has to know of an attempt, once."""

from collections.abc import Callable
from typing import TypeVar

from cachetools import LRUCache

from resumable.service.authorization import Allowed, AttemptRecord, Denied, NoRecord, may_control, may_work
from resumable.service.caller import Caller, ServiceAccount
from resumable.service.problems import NotAllowed
from resumable.service.store_threads import StoreThreads
from resumable.state.outcome import Fenced, WriteOutcome
from resumable.state.record import Fence, Write
from resumable.state.store import FinishedStep, SavedCursor, Store

T = TypeVar("T")

_MOST_REMEMBERED = 100_000


class Admission:
    """Who may call what on this store."""

    def __init__(self, calls: StoreThreads, controller: ServiceAccount | None) -> None:
        self._calls = calls
        self._controller = controller
        # A pod that was bound to an attempt stays its pod, so what was read once holds. By the whole fence: after a
        # store went back in time the same number is minted again, with another nonce.
        self._known: LRUCache[Fence, AttemptRecord] = LRUCache(_MOST_REMEMBERED)

    def control(self, caller: Caller) -> None:
        """Raises NotAllowed unless the caller may read and make the controller's calls."""
        match may_control(caller, self._controller):
            case Denied(why):
                raise NotAllowed(why)
            case Allowed():
                pass

    async def work(
        self, caller: Caller, fence: Fence, call: Callable[[Store], T], *, beginning: bool = False
    ) -> T | Fenced:
        """The answer to a worker's call, which is made if the caller may make it; `beginning`: it is `begin`.

        Raises NotAllowed, and what the store raises.
        """
        refused = await self._admitted(caller, fence, beginning)
        return await self._calls.write(call) if refused is None else refused

    async def read(self, caller: Caller, fence: Fence, call: Callable[[Store], T]) -> T | Fenced:
        """The answer to a worker's call that only reads, as `work`; it does not wait for those that write."""
        refused = await self._admitted(caller, fence)
        return await self._calls.read(call) if refused is None else refused

    async def write_step(
        self, caller: Caller, fence: Fence, write: Write, step: FinishedStep | SavedCursor
    ) -> WriteOutcome:
        """The answer to a write to a step, as `work`; it may share its commit with others."""
        refused = await self._admitted(caller, fence)
        return await self._calls.write_step(fence, write, step) if refused is None else refused

    async def _admitted(self, caller: Caller, fence: Fence, beginning: bool = False) -> Fenced | None:
        """None: the call may be made. Raises NotAllowed."""
        record = None
        if may_control(caller, self._controller) != Allowed():
            record = self._known.get(fence) or await self._read(fence)
        match may_work(caller, self._controller, record, beginning=beginning):
            case Allowed():
                return None
            case Denied(why):
                raise NotAllowed(why)
            case NoRecord(why):
                return Fenced(attempt=0, why=why)

    async def _read(self, fence: Fence) -> AttemptRecord | None:
        view = await self._calls.read(lambda store: store.view(fence.run_id, steps=0))
        if view is None:
            return None
        attempt = next((attempt for attempt in view.attempts if attempt.number == fence.attempt), None)
        if attempt is None:
            return None
        record = AttemptRecord(view.run.namespace, attempt.pod_uid)
        if record.pod_uid and view.run.fence == fence:
            self._known[fence] = record
        return record
