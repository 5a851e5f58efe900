from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects


@pytest.fixture
def store() -> Iterator[SqlStore]:
    store = SqlStore("sqlite://")
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def effects() -> Effects:
    return Effects()
