"""The script and the commands of its steps, and how they are stopped.

Each is a process group. What has no safe point of its own gets SIGTERM as soon as a stop is asked for. A script that
has called `resumable`, or a step's command that has asked for its cursor or saved one, has safe points: it is left to
reach the next, where it is told, and gets SIGTERM only shortly before the deadline. Whatever is there still gets
SIGKILL before the watchdog ends this process.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from resumable.sdk.interruption import Interruption, margin


class ProcessGroup:
    """One of them. `has_safe_points`: it asks often enough whether to stop."""

    def __init__(self) -> None:
        self.id: int | None = None
        self.has_safe_points = False
        self._had: set[signal.Signals] = set()

    def signal(self, number: signal.Signals) -> None:
        """Send it, once."""
        if self.id is not None and number not in self._had:
            self._had.add(number)
            with suppress(ProcessLookupError):
                os.killpg(self.id, number)


class Processes:
    """Those of one script."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._over = False
        self._left_at: float | None = None  # the script was told to end: it waits for something, or was fenced out
        self.script = ProcessGroup()
        self._groups = [self.script]

    @contextmanager
    def stopped_in_time(self) -> Iterator[None]:
        """Within, a thread stops what has to stop; nothing is left running behind it."""
        thread = threading.Thread(target=self._watch, name="resumable-script", daemon=True)
        with self._interruption.listening(self._changed.set):
            thread.start()
            try:
                yield
            finally:
                self._over = True
                self._changed.set()
                thread.join()
                self._signal_all(signal.SIGKILL)

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the script. Raises `OSError` when there is no such program."""
        defaults = [signal.SIGPIPE, signal.SIGXFSZ]  # which Python ignores
        self._begun(
            self.script,
            os.posix_spawnp(command[0], tuple(command), environment, setpgroup=0, setsigdef=defaults),
        )

    def wait(self) -> int:
        """The script's exit code; minus the signal's number when one killed it.

        As PID 1 this process inherits whatever loses its parent: they are reaped here, too.
        """
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == self.script.id:
                return os.waitstatus_to_exitcode(status)

    def begun(self, group: ProcessGroup, process_id: int) -> None:
        """A step's command was started."""
        with self._lock:
            self._groups.append(group)
        self._begun(group, process_id)

    def _begun(self, group: ProcessGroup, process_id: int) -> None:
        group.id = process_id
        self._changed.set()

    def ended(self, group: ProcessGroup) -> None:
        """It was waited for: its number may soon be another's."""
        with self._lock:
            if group in self._groups:
                self._groups.remove(group)

    def leave(self) -> None:
        """The script was told to end, and has the grace to do so."""
        if self._left_at is None:
            self._left_at = time.monotonic()
            self._changed.set()

    def _watch(self) -> None:
        while not self._over:
            self._changed.clear()
            self._changed.wait(self._stop())

    def _stop(self) -> float | None:
        """Send what is due now; the seconds until more may be."""
        end = self._end()
        if end is None:
            return None
        stop, now = self._interruption.stop, time.monotonic()
        reserve = margin(self._interruption.grace).total_seconds()
        terminate, kill = end - reserve, end - reserve / 2
        if stop is not None:
            self._signal_all(signal.SIGTERM, patient=not stop.fenced)
        if now >= terminate:
            self._signal_all(signal.SIGTERM)
        if now >= kill:
            self._signal_all(signal.SIGKILL)
            return None
        return max(0.001, (terminate if now < terminate else kill) - now)

    def _end(self) -> float | None:
        last_moment = self._interruption.last_moment()
        ends = [] if last_moment is None else [last_moment]
        if self._left_at is not None:
            ends.append(self._left_at + self._interruption.grace.total_seconds())
        return min(ends, default=None)

    def _signal_all(self, number: signal.Signals, *, patient: bool = False) -> None:
        with self._lock:
            groups = tuple(self._groups)
        for group in groups:
            if not (patient and group.has_safe_points):
                group.signal(number)
