"""A step that may take only so long.

Python can't stop a thread. So a plain function with a timeout runs in a thread of its own; when the time is over, the
job goes on without it, and the thread is left to itself. It is cut off: what it still saves or returns is refused, and
its `StepContext` makes it leave at its next safe point. What it does to the outside world goes on until then.
"""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from datetime import timedelta
from typing import Any

from resumable.sdk.durations import checked_duration
from resumable.sdk.errors import InvalidStep, StepCutOff


def check_timeout(value: str | timedelta | None) -> timedelta | None:
    """The option as a duration. Raises `InvalidStep`."""
    return None if value is None else checked_duration(value, "timeout=", raises=InvalidStep)


def call_within(
    limit: timedelta, call: Callable[[], Any], *, cut_off: Callable[[], BaseException], thread_name: str
) -> Any:
    """What the call returns or raises, if it does so in time; else raises what `cut_off` makes of it."""
    ended: Future[Any] = Future()

    def work() -> None:
        try:
            result = call()
        except StepCutOff:
            pass  # nobody waits any more
        except BaseException as error:  # noqa: BLE001 - raised where it was called
            ended.set_exception(error)
        else:
            ended.set_result(result)

    threading.Thread(target=contextvars.copy_context().run, args=(work,), name=thread_name, daemon=True).start()
    try:
        return ended.result(limit.total_seconds())
    except NotDone:
        if ended.done():  # its own TimeoutError
            raise
        raise cut_off() from None
    except BaseException:
        if not ended.done():  # Ctrl-C in a notebook: it must not go on saving
            cut_off()
        raise
