"""Looks after a job in the foreground: round after round, until it is over, rests, or somebody wants to leave."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from rich.text import Text

from resumable.cli.screen import LogTail, Screen, notice_text
from resumable.local.backend import LocalBackend, Round
from resumable.state.outcome import StoreUnavailable

POLL = timedelta(seconds=0.1)
WAITING_POLL = timedelta(seconds=0.5)  # for hours maybe: nothing but a signal or the time is looked for
AWAY = timedelta(seconds=1)  # between tries of a store that does not answer


def watch(
    backend: LocalBackend, display: Screen, *, after_round: Callable[[Round], object] = lambda _: None
) -> Round | None:
    """The last round; None: left at once, because somebody asked twice. For the main thread, as it handles signals."""
    logs: dict[str, LogTail] = {}
    hint = ""
    with _stop_requests() as requests:
        try:
            while True:
                if len(requests) > 1:
                    return None
                if requests and not backend.job.spec.suspend:
                    backend.suspend()
                    display.say("Asked to stop: the worker saves and leaves (once more: leave without waiting for it).")
                try:
                    current = backend.round()
                except StoreUnavailable as error:  # the worker goes on, and so do we
                    display.say(str(error))
                    time.sleep(AWAY.total_seconds())
                    continue
                _show(backend, current, logs, display)
                if current.waits and hint != (hint := backend.how_to_wake(current)):
                    display.say(Text(hint))
                if current.at_rest:
                    return current
                after_round(current)
                if not current.decision.actions:
                    time.sleep((WAITING_POLL if current.waits else POLL).total_seconds())
        finally:
            display.close()


def _show(backend: LocalBackend, current: Round, logs: dict[str, LogTail], display: Screen) -> None:
    for pod in current.pods:
        tail = logs.get(pod.name) or logs.setdefault(pod.name, LogTail(backend.processes.log(pod.name)))
        for line in tail.lines(all_of_it=pod.terminal):
            display.say(Text.assemble((f"{pod.name} │ ", "dim"), line))
    for notice in current.decision.notices:
        display.say(notice_text(notice))
    display.show(current)


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """The signals that asked this process to stop, so far."""
    requests: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        requests.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
