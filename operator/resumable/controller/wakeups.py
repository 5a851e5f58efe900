"""Learn of what was done straight to the store, by the CLI or a program: a signal, a restart.

The store has moved such a run to Pending in that very transaction, but nothing tells the controller. So the store is
asked twice a second for the runs that were moved on so and that have no new attempt since. That is one indexed read
whose answer is nearly always empty, the same for ten jobs at rest as for ten thousand; a question for each job would
grow with them. It is level-triggered: a run stays in the answer until its next attempt is minted, so that none can be
missed and no position has to be remembered over a restart. Only jobs whose last look found them at rest are looked at
for it, hence one that can't start (a full quota) is not looked at for ever.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from resumable.controller.cache import JobKey
from resumable.state.outcome import StoreError
from resumable.state.record import Run, RunStatus
from resumable.state.store import Store

logger = logging.getLogger(__name__)

INTERVAL = timedelta(seconds=0.5)

_MOVES_BY_ITSELF = frozenset({RunStatus.PENDING, RunStatus.RUNNING, RunStatus.INTERRUPTED})


class Wakeups:
    """The jobs whose runs are at rest, as their last look found them, and the poll on their behalf."""

    def __init__(self, store: Store, look_at: Callable[[JobKey], None]) -> None:
        self._store = store
        self._look_at = look_at
        self._at_rest: dict[str, JobKey] = {}  # by run

    def note(self, key: JobKey, run: Run) -> None:
        """How a look at a job found its run."""
        if run.status in _MOVES_BY_ITSELF:
            self.forget(run.id)
        else:
            self._at_rest[run.id] = key

    def forget(self, run_id: str) -> None:
        """The job is gone."""
        self._at_rest.pop(run_id, None)

    async def poll(self) -> None:
        """Ask at intervals while any job is at rest, until cancelled. A store that is away is tried again."""
        while True:
            await asyncio.sleep(INTERVAL.total_seconds())
            if self._at_rest:
                await self.ask()

    async def ask(self) -> None:
        """Have the jobs looked at whose runs were moved on."""
        try:
            woken = await asyncio.to_thread(self._store.list_woken)
        except StoreError as error:
            logger.debug("can't ask for woken runs: %s", error)  # every job's own look says so already
            return
        for run_id in woken:
            if key := self._at_rest.get(run_id):
                self._look_at(key)
