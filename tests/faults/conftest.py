"""A folder of its own for each test's job processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.process import Workplace, workplace


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    with workplace(tmp_path) as opened:
        yield opened
