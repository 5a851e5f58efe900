"""Maps over items that take a while; each says when it begins and when it is done."""

import os
import time

from effects import effect

from resumable import Job, job


def work(item: int) -> int:
    effect(f"begins {item}")
    while not os.path.exists("go") and item >= 4:  # the first four are quick
        time.sleep(0.005)
    effect(f"done {item}")
    return item


@job("mapping")
def mapping(j: Job, items: int = 10) -> int:
    return sum(j.map("work", work, range(items), concurrency=3))


if __name__ == "__main__":
    mapping.main()
