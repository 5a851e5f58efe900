"""Waiting for a condition, never for luck."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], what: str, *, seconds: float = 20) -> None:
    """Return as soon as the condition holds; fail with a sentence when it doesn't in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s it is still not so that {what}")
        time.sleep(0.02)
