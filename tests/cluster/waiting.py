"""Waiting for a condition: never longer than a deadline, and with the last state in the message when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from tests.cluster.errors import CommandFailed, WaitTimeout

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T | None],
    timeout: timedelta | float,
    message: str,
    *,
    state: Callable[[], object] | None = None,
    every: timedelta = timedelta(seconds=0.2),
) -> T:
    """Asks `condition` again and again until it answers something else than None or False, and returns that.

    Example:
        pod = wait_for(lambda: cluster.find_pod(namespace, "train-r2"), 30, "The second attempt's pod was not created")

    Args:
        condition: what is waited for. A command of it that fails (`CommandFailed`: no such object yet, the API server
            is away) counts as "not yet"; any other exception ends the wait.
        timeout: how long; a number means seconds.
        message: a sentence for the error, as in the example.
        state: tells, for the error, how things are when the time is over; default: what `condition` said last.
        every: the pause between two questions.

    Raises:
        WaitTimeout: it did not come true in time.
    """
    limit = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
    started = time.monotonic()
    last: object = None
    while True:
        try:
            answer = condition()
            if answer is not None and answer is not False:
                return answer
            last = answer
        except CommandFailed as error:
            last = error
        if time.monotonic() - started > limit.total_seconds():
            raise WaitTimeout(
                f"{message.rstrip('.')} within {limit.total_seconds():g} s. Last state: {_tell(state, last)}"
            )
        time.sleep(every.total_seconds())


def _tell(state: Callable[[], object] | None, last: object) -> object:
    if state is None:
        return last
    try:
        return state()
    except CommandFailed as error:
        return error
