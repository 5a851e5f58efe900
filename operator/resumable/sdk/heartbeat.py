"""Tells the store what runs, and learns from it whether to go on.

A step that runs for hours writes nothing by itself; its heartbeat makes it visible, brings the news that somebody
wants a stop, and notices that another attempt has taken over. A worker that is out of contact for longer than
`limit`, by its own monotonic clock, leaves at its next safe point: it may have a successor. That bounds what a zombie
does to the outside world; what it writes is refused anyway.
"""

import logging
import threading
import time
from datetime import timedelta

from resumable.sdk.attempt import Attempt
from resumable.sdk.durations import readable
from resumable.sdk.interruption import STORE_UNAVAILABLE
from resumable.state.outcome import StoreError

log = logging.getLogger("resumable")

INTERVAL = timedelta(seconds=2)


class Heartbeat:
    """A thread that beats until it is stopped."""

    def __init__(self, attempt: Attempt, *, limit: timedelta, interval: timedelta = INTERVAL) -> None:
        self._attempt = attempt
        self._limit = limit.total_seconds()
        self._interval = interval.total_seconds()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="resumable-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(self._interval)  # a beat under way may hang on a store that is away: it is a daemon

    def _beat(self) -> None:
        told = False
        while not self._ended.wait(self._interval):
            try:
                self._attempt.beat()
                told = False
            except StoreError as error:
                away = time.monotonic() - self._attempt.last_contact
                if not told:
                    log.warning("no heartbeat for %s: %s", readable(away), error)
                    told = True
                if away > self._limit:
                    message = f"the store has not answered for {readable(away)}"
                    self._attempt.interruption.ask(STORE_UNAVAILABLE, message)
