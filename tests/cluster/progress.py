"""Lines on stderr that tell what is going on, and that a slow thing is still going on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta


def say(line: str) -> None:
    """Prints one line of progress (stdout is kept for answers such as the kubeconfig's path)."""
    print(f"cluster: {line}", file=sys.stderr, flush=True)


@contextmanager
def slowly(
    what: str, detail: Callable[[], str] = lambda: "", *, every: timedelta = timedelta(seconds=15)
) -> Iterator[None]:
    """Says `what` at the start and how long it took at the end; in between, every so often, that it still runs."""
    started = time.monotonic()
    ended = threading.Event()

    def elapsed() -> str:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"

    def remind() -> None:
        while not ended.wait(every.total_seconds()):
            say(", ".join(part for part in (f"{what}: {elapsed()}", detail()) if part))

    say(what)
    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    try:
        yield
    finally:
        ended.set()
        reminder.join()
    say(f"{what}: done in {elapsed()}")
