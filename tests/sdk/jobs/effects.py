"""The outside effect log: one line an effect, whole or not at all."""

import os
import time


def effect(text: str) -> None:
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


def wait_for_file(name: str) -> None:
    """Until the test makes it, in the current folder."""
    end = time.monotonic() + 60
    while not os.path.exists(name):
        if time.monotonic() > end:
            raise TimeoutError(name)
        time.sleep(0.005)
