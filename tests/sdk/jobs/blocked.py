"""Saves a cursor, then blocks the main thread in C code, which no signal handler written in Python gets past."""

import ctypes
import hashlib
import sys

from effects import effect

from resumable import Job, StepContext, job


def usleep() -> None:
    libc = ctypes.CDLL(None)
    while True:
        libc.usleep(50_000_000)  # goes on sleeping: nothing returns to the interpreter for 50 s


def pbkdf2() -> None:
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 2_000_000_000)


def block(step: StepContext[int], how: str) -> int:
    if step.cursor is None:
        step.save(3)
        sys.stdout.write("not yet flushed")
        effect("blocked")
        {"usleep": usleep, "pbkdf2": pbkdf2}[how]()
    effect(f"goes on from {step.cursor}")
    return step.cursor or 0


@job("blocked")
def blocked(j: Job, how: str = "usleep") -> int:
    return j.step("block", block, how)


if __name__ == "__main__":
    blocked.main()
