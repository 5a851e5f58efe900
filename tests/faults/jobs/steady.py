"""Small steps, one after the other. The log outside says what ran, and what was acknowledged."""

import os
import time

from resumable import Job, job


def effect(text: str) -> None:
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


def work(n: int) -> str:
    effect(f"ran {n}")
    time.sleep(0.005)
    return f"{n} " * 200


@job("steady")
def steady(j: Job, steps: int) -> int:
    for n in range(steps):
        j.options(key=str(n)).step("work", work, n)
        effect(f"acknowledged {n}")
    return steps


if __name__ == "__main__":
    steady.main()
