"""The effect log, from the worker's side: a line for each thing that really happened, in a file of its own.

A line is one `write` to a file opened with O_APPEND: lines of two processes can't mix, a killed one leaves whole lines.
"""

import json
import os
import time
from pathlib import Path

_LOG = Path(os.environ["EFFECT_LOG"])
_PROCESS = os.urandom(4).hex()  # the process id says nothing: it is 1 in every container


def log_effect(effect: str, **details: object) -> None:
    """Say that something was done."""
    line = {
        "effect": effect,
        "attempt": int(os.environ["RESUMABLE_ATTEMPT"]),
        "process": _PROCESS,
        "release": os.environ.get("RELEASE", ""),
        **details,
    }
    log = os.open(_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(log, (json.dumps(line) + "\n").encode())
    finally:
        os.close(log)


def told(word: str) -> bool:
    """Whether the test has said `word` (`EffectLog.say`)."""
    return _LOG.with_name(f"said-{word}").exists()


def pause(milliseconds: int) -> None:
    """Be slow, so that the test can act in the middle of a step; at full speed once the test has said "hurry"."""
    if not told("hurry"):
        time.sleep(milliseconds / 1000)
