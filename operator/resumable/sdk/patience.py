"""How long a worker waits for a store that doesn't answer.

A store may be away: a restart of the state service, a failover. That is no failure of the job, so a call is repeated,
with growing pauses, until the store has been away for `store_timeout`, or until the deadline once the worker was
asked to leave. Then the worker leaves as interrupted.
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from resumable.sdk.durations import readable
from resumable.sdk.errors import Interrupted
from resumable.sdk.interruption import STORE_UNAVAILABLE, Interruption
from resumable.state.outcome import StoreUnavailable

log = logging.getLogger("resumable")

T = TypeVar("T")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_WORTH_A_LINE = 0.5  # a pod is a moment ahead of the controller that binds it, a failover takes seconds


class Patience:
    """Repeats calls to a store that is away."""

    def __init__(
        self, interruption: Interruption, store_timeout: timedelta, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interruption = interruption
        self._timeout = store_timeout.total_seconds()
        self._clock = clock

    def call(self, operation: Callable[[], T], *, use_grace: bool = True) -> T:
        """The operation's answer. Raises `Interrupted` (reason `StoreUnavailable`) when patience is at an end.

        `use_grace`: whether it is worth waiting for once the worker was asked to leave.
        """
        pause = _FIRST_PAUSE
        away_since: float | None = None
        told = False
        while True:
            try:
                answer = operation()
            except StoreUnavailable as error:
                now = self._clock()
                away_since = now if away_since is None else away_since
                if now + pause > self._limit(away_since, use_grace):
                    message = f"the store did not answer for {readable(now - away_since)}: {error}"
                    self._interruption.leave(Interrupted(STORE_UNAVAILABLE, message))
                if not told and now - away_since >= _WORTH_A_LINE:
                    log.warning("no answer from the store, trying for up to %s: %s", readable(self._timeout), error)
                    told = True
                self._interruption.sleep(pause * random.uniform(0.5, 1.0))  # jitter: a store's workers don't queue up
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                if told and away_since is not None:
                    log.info("the store is back after %s", readable(self._clock() - away_since))
                return answer

    def _limit(self, away_since: float, use_grace: bool) -> float:
        stop = self._interruption.stop
        limit = away_since + self._timeout
        if stop is None:
            return limit
        return min(limit, stop.deadline) if use_grace else away_since
