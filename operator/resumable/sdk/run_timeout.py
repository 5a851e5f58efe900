"""How long a run may take, over all its attempts: `@job(timeout="2h")`.

Counted by the store's clock from the first attempt's begin; time without a process counts too. When it is over the job
is asked to leave at its next safe point, as for any other reason; then the run fails for good and is undone.

What an earlier attempt did has to be replayed first: only the replay knows how to undo it.
"""

import threading
import time
from datetime import timedelta

import msgspec

from resumable.sdk.attempt import Attempt
from resumable.sdk.durations import checked_duration, milliseconds, readable
from resumable.sdk.errors import JobDefinitionError
from resumable.state.record import RunStatus
from resumable.state.store import RunEnd

RUN_TIMEOUT = "RunTimeout"


def check_run_timeout(job: str, value: str | timedelta | None) -> timedelta | None:
    """The option as a duration. Raises `JobDefinitionError`."""
    return None if value is None else checked_duration(value, f"job {job!r}: timeout=", raises=JobDefinitionError)


class RunTimer:
    """Asks the job to leave when the run's time is over. A context: outside it nothing is asked."""

    def __init__(self, attempt: Attempt, limit: timedelta | None) -> None:
        self._attempt = attempt
        self._limit = limit
        self._ended = threading.Event()
        now, started = attempt.now(), attempt.run.started
        used = now - started if now is not None and started is not None else timedelta(0)
        self._deadline = None if limit is None else time.monotonic() + (limit - used).total_seconds()

    def __enter__(self) -> "RunTimer":
        if self._deadline is not None:
            self._attempt.before_fresh_step = self._check
            self._attempt.before_end = self._wake_in_time
            threading.Thread(target=self._watch, name="resumable-run-timeout", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._attempt.before_fresh_step = lambda: None

    @property
    def is_over(self) -> bool:
        """Whether the run has had its time."""
        return self._remaining() <= 0

    @property
    def message(self) -> str:
        """What happened, for people."""
        limit = readable(self._limit.total_seconds()) if self._limit else ""
        return f"the run's time is over: it may take {limit} from its first start, over all its attempts"

    def _remaining(self) -> float:
        return float("inf") if self._deadline is None else self._deadline - time.monotonic()

    def _check(self) -> None:
        if self.is_over and not self._ended.is_set():
            self._attempt.interruption.ask(RUN_TIMEOUT, self.message)

    def _watch(self) -> None:
        if self._ended.wait(max(0.0, self._remaining())):
            return
        # What is replayed is quick: it is waited for, but not for ever.
        self._attempt.replayed.wait(self._attempt.interruption.grace.total_seconds())
        self._check()

    def _wake_in_time(self, end: RunEnd) -> RunEnd:
        """A run that waits is woken when its time is over."""
        remaining = milliseconds(timedelta(seconds=max(0.0, self._remaining())))
        wake = [] if end.wake_after_ms is None else [end.wake_after_ms]
        now = self._attempt.now()
        if end.wake_at is not None and now is not None:
            wake.append(milliseconds(end.wake_at - now))
        if end.status is not RunStatus.WAITING or any(after <= remaining for after in wake):
            return end
        return msgspec.structs.replace(end, wake_at=None, wake_after_ms=remaining)
