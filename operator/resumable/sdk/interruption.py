"""When a worker has to leave, and where it may.

A stop is asked for by SIGTERM, by somebody through the store (suspend, a rollout), by the fence being lost, or by a
store that stays away. Nothing is raised where the question arrives: it is noted, with a deadline, and the job leaves
at its next *safe point*: between steps, at the head of an `iterate` turn, or in `stop_if_asked()`. Who reaches none
before the deadline is left by the watchdog.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from resumable.sdk.errors import ControlException, Fenced, Interrupted
from resumable.sdk.exit_codes import ExitCode

# Reasons of an `Interrupted` that say that nothing more can be stored.
STOPPED = "Stopped"  # the run is not running any more
STORE_UNAVAILABLE = "StoreUnavailable"

_LONGEST_MARGIN = timedelta(seconds=3)


def margin(grace: timedelta) -> timedelta:
    """What of the grace is kept for leaving itself: flushing output and the interpreter's own end."""
    return min(_LONGEST_MARGIN, grace / 5)


class Branch:
    """One of several steps that run at the same time, and whether it has left."""

    left: ControlException | None = None
    asked: ControlException | None = None  # to leave, alone: its next safe point raises it


_branch: ContextVar[Branch | None] = ContextVar("resumable_branch", default=None)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why to leave, and until when (seconds of the monotonic clock)."""

    reason: str
    message: str
    fenced: bool
    deadline: float  # leave by then
    grace_ends: float  # killed then

    def exception(self) -> ControlException:
        """What a safe point raises."""
        return Fenced(self.message) if self.fenced else Interrupted(self.reason, self.message)

    @property
    def exit_code(self) -> ExitCode:
        """How the process leaves."""
        return ExitCode.FENCED if self.fenced else ExitCode.INTERRUPTED


class Interruption:
    """Whether this process was asked to leave. Thread-safe; never to be called from a signal handler (it takes a
    lock).
    """

    # A task between two steps runs none, but it goes on: nobody leaves to wait for a signal before it had its turn.
    settle_seconds = 0.1

    def __init__(self, grace: timedelta, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.grace = grace
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._stop: Stop | None = None
        self._shields: list[float] = []
        self.left: ControlException | None = None  # raised once: the job must not go on as if nothing had happened
        self.on_change: Callable[[], None] = lambda: None
        self._listeners: list[Callable[[], None]] = []

    @property
    def stop(self) -> Stop | None:
        """What was asked for first; a lost fence overrides it."""
        return self._stop

    @property
    def stopping(self) -> bool:
        """Whether the job, or this branch of it, should save and leave."""
        branch = _branch.get()
        return self._stop is not None or (branch is not None and branch.asked is not None)

    def ask(self, reason: str, message: str = "") -> None:
        """Ask the job to leave at its next safe point. The first to ask sets the deadline."""
        self._note(reason, message or reason, fenced=False)

    def fence(self, message: str) -> None:
        """The run belongs to another attempt now: leave, without saving."""
        self._note("Fenced", message, fenced=True)

    def _note(self, reason: str, message: str, *, fenced: bool) -> None:
        with self._lock:
            before = self._stop
            if before is not None and (before.fenced or not fenced):
                return
            grace_ends = before.grace_ends if before else self._clock() + self.grace.total_seconds()
            deadline = before.deadline if before else grace_ends - margin(self.grace).total_seconds()
            self._stop = Stop(reason, message, fenced, deadline, grace_ends)
        self._asked.set()
        self._tell()

    def _tell(self) -> None:
        self.on_change()
        for listener in tuple(self._listeners):
            listener()

    @contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call it, from any thread, when a stop is asked for and when a shield ends."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def withdraw(self) -> None:
        """Whoever asked has been heard, and the job's function has been left: what is left to do may run."""
        with self._lock:
            if self._stop is None or self._stop.fenced:
                return
            self._stop = self.left = None
            self._asked.clear()
        self._tell()  # a signal that came meanwhile was not heard

    def remaining(self) -> timedelta | None:
        """How long is left to save and leave; None while nobody asked."""
        stop = self._stop
        return None if stop is None else timedelta(seconds=max(0.0, stop.deadline - self._clock()))

    def safe_point(self) -> None:
        """Leave here if asked to, or if the job is leaving already and its code took no notice."""
        if self._shielded():
            return
        self.raise_if_left()
        branch = _branch.get()
        if branch is not None and branch.asked is not None:
            self.leave_branch(branch.asked)
        if self._stop is None:
            return
        if self._stop.fenced:
            self.leave(self._stop.exception())
        self.leave_branch(self._stop.exception())

    def leave(self, exception: ControlException) -> NoReturn:
        """Raise it, and remember it: who swallows it gets it again instead of a success."""
        self.left = exception
        raise exception

    def leave_branch(self, exception: ControlException) -> NoReturn:
        """As `leave`, but only out of the `branch()` that this runs in, if it does: the others may finish theirs."""
        branch = _branch.get()
        if branch is None:
            self.leave(exception)
        branch.left = exception
        raise exception

    @property
    def in_branch(self) -> bool:
        """Whether other steps may run beside this one."""
        return _branch.get() is not None

    def raise_if_left(self) -> None:
        """Raise again what made the job leave, if it was swallowed."""
        branch = _branch.get()
        if branch is not None and branch.left is not None:
            raise branch.left
        if self.left is not None:
            raise self.left

    @contextmanager
    def branch(self) -> Iterator[Branch]:
        """Around one of several steps that run at the same time, each in a thread or a task of its own.

        One that leaves at its safe point doesn't take with it what the others finish in their grace.
        """
        branch = Branch()
        token = _branch.set(branch)
        try:
            yield branch
        finally:
            _branch.reset(token)

    @contextmanager
    def shield(self, limit: timedelta) -> Iterator[None]:
        """No safe point within, and no watchdog, for as long as `limit` and the grace last."""
        until = self._clock() + limit.total_seconds()
        self._shields.append(until)
        try:
            yield
        finally:
            self._shields.remove(until)
            self._tell()

    def _shielded(self) -> bool:
        return bool(self._shields) and max(self._shields) > self._clock()

    def last_moment(self) -> float | None:
        """When the watchdog leaves (monotonic seconds); None while nobody asked. A shield may use up the grace's
        margin.
        """
        stop = self._stop
        if stop is None:
            return None
        shields = tuple(self._shields)
        return min(max(stop.deadline, *shields), stop.grace_ends) if shields else stop.deadline

    def cancel_moment(self) -> float | None:
        """When an async job cancels what still awaits something (monotonic seconds); None while nobody asked.

        Before the watchdog's moment, so that `finally` blocks run.
        """
        stop = self._stop
        return None if stop is None else max(stop.deadline - margin(self.grace).total_seconds(), *self._shields, 0.0)

    def wait(self, seconds: float) -> None:
        """Wait that long; a safe point all the while, unless it is shielded."""
        until = self._clock() + seconds
        self.safe_point()
        while (left := until - self._clock()) > 0:
            self.sleep(left)
            self.safe_point()

    def sleep(self, seconds: float) -> None:
        """Sleep, but not on when asked to leave meanwhile."""
        if self._asked.is_set():
            time.sleep(min(seconds, 0.25))  # a wait would return at once, and the caller's retries become a busy loop
        else:
            self._asked.wait(seconds)
