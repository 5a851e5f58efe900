"""Signals, and the thread that leaves the process when the job can't.

C code that blocks the main thread also keeps Python's signal handlers from running. So the interpreter's C handler
writes the signal's number to a pipe (`signal.set_wakeup_fd`) and a thread reads it: that works whenever the C code
has released the GIL (sleeping, reading, waiting, most of numpy). Code that holds the GIL to the end of the grace is
killed by whoever sent the signal; what it saved stands as well.
"""

import logging
import os
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from resumable.sdk import environment
from resumable.sdk.durations import readable
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.interruption import Interruption

log = logging.getLogger("resumable")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FLUSH_SECONDS = 0.5


def exit_on_early_sigterm() -> None:
    """Until `main()` has begun there is nothing to save: leave at once.

    Only as PID 1 of a worker's container, where a signal without a handler is ignored and the grace would be waited
    out for nothing. Anywhere else the default (death) does the same, also in child processes that import this
    package.
    """
    if os.getpid() == 1 and environment.RUN in os.environ and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: os._exit(ExitCode.INTERRUPTED))


class Watchdog:
    """Watches for signals, notes them in an `Interruption`, and leaves at its last moment."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._handled: Counter[int] = Counter()
        self._told: Counter[int] = Counter()
        self._outcome: int | None = None

    def start(self) -> None:
        """Take over SIGTERM and SIGINT. Only from the main thread."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_give_signals_back)
        self._interruption.on_change = self._wake
        threading.Thread(target=self._watch, name="resumable-watchdog", daemon=True).start()

    def settle(self, outcome: int) -> None:
        """The job has ended: whatever happens on the way out, this is the exit code."""
        self._outcome = outcome

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        """Take no lock, raise nothing, stay short. Not needed while the wake-up descriptor is ours: event loops take
        it away.
        """
        self._handled[number] += 1
        self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._write_end, b"\0")

    def _watch(self) -> None:
        while True:
            last_moment = self._interruption.last_moment()
            timeout = None if last_moment is None else max(0.0, last_moment - time.monotonic())
            if timeout == 0.0:
                self._leave("no safe point was reached in time")
            if select.select([self._read_end], [], [], timeout)[0]:
                self._told.update(os.read(self._read_end, 512))
                self._note()

    def _note(self) -> None:
        interrupts, terminations = (max(self._told[n], self._handled[n]) for n in (signal.SIGINT, signal.SIGTERM))
        if interrupts > 1 or (interrupts and terminations):
            self._leave("interrupted twice")
        if (interrupts or terminations) and not self._interruption.stopping:
            name = "SIGTERM" if terminations else "SIGINT"
            self._interruption.ask(name)
            left = self._interruption.remaining()
            limit = readable(left.total_seconds()) if left else "0s"
            again = "" if terminations else "; once more to leave at once"
            _within(
                _FLUSH_SECONDS,
                lambda: log.warning("%s: leaving at the next safe point, in %s at the latest%s", name, limit, again),
            )

    def _leave(self, why: str) -> NoReturn:
        stop = self._interruption.stop
        code = self._outcome if self._outcome is not None else stop.exit_code if stop else ExitCode.INTERRUPTED
        if self._outcome is None:
            _within(_FLUSH_SECONDS, lambda: log.warning("%s: leaving now; what was last saved stands", why))
        _within(_FLUSH_SECONDS, _flush)
        os._exit(code)


def _within(seconds: float, action: Callable[[], None]) -> None:
    """Do it, but don't wait longer: the main thread may be blocked while it holds the very lock, or the pipe may be
    full.
    """
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(seconds)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def _give_signals_back() -> None:
    """In a forked child: it shares our pipe, and its own SIGTERM (`Pool.terminate`) would pass for ours."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
