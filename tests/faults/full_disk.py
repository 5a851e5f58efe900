"""A worker on a SQLite whose disk fills up, in a mount namespace of its own where a small disk is mounted.

    python -m tests.faults.full_disk FOLDER

Run by `test_full_disk`; an assertion that fails ends it with its traceback.
"""

import contextlib
import os
import sys
from contextlib import closing
from pathlib import Path

from resumable.state.sql.store import SqlStore
from tests.faults.steady_worker import nothing_is_lost, start
from tests.sdk.process import wait_for, workplace

STEPS = 160


def fill(disk: Path) -> Path:
    """A file that takes all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return ballast


def main(folder: Path) -> None:
    disk = folder / "disk"
    url = f"sqlite:///{disk / 'runs.db'}"
    with workplace(folder) as place, closing(SqlStore(url)) as store:
        process = start(place, store, url, steps=STEPS)
        for acknowledged in (20, 80):
            process.wait_for_effect(f"acknowledged {acknowledged}")
            told = process.log.count("no answer from the store")
            ballast = fill(disk)
            wait_for(
                lambda told=told: process.log.count("no answer from the store") > told, f"a full disk:\n{process.log}"
            )
            assert os.statvfs(disk).f_bavail == 0
            ballast.unlink()
        assert "database or disk is full" in process.log
        nothing_is_lost(place, store, process, steps=STEPS)
    print("nothing was lost")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
