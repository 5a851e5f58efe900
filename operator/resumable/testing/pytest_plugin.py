"""The pytest plugin: the fixture `jobs`.

It is loaded in every test session where the package is installed, so it imports late.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from resumable.testing.jobs import Jobs


@pytest.fixture
def jobs(tmp_path: Path) -> "Iterator[Jobs]":
    """Runs jobs in this process, on a store in memory, killed at each point in turn: see `resumable.testing.Jobs`."""
    from resumable.testing.jobs import Jobs

    with Jobs(tmp_path / "resumable-jobs") as jobs:
        yield jobs
