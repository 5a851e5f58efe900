"""One at a time, and a lock is free as soon as its holder is gone, however it went."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cluster import ClusterError, lock, paths

HOLDER = """
import sys
from pathlib import Path
from tests.cluster import lock
with lock.held("it", folder=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder],
        cwd=paths.CHECKOUT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_who_waits_too_long_is_told_who_has_it(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path) as other:
        assert lock.holder("it", folder=tmp_path) == str(other.pid)
        with (
            pytest.raises(ClusterError, match=f"process {other.pid} has it"),
            lock.held("it", folder=tmp_path, timeout=timedelta(seconds=0.3)),
        ):
            pytest.fail("two processes held one lock")


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path) as other:
        other.kill()
        with lock.held("it", folder=tmp_path, timeout=timedelta(seconds=10)):
            pass
    assert lock.holder("it", folder=tmp_path) is None
