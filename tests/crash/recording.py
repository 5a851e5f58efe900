"""The calls that a worker really makes, recorded, to be made again under another fence."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resumable.state.record import Fence
from resumable.state.sql.store import SqlStore
from resumable.state.store import Store
from tests.crash import journal
from tests.crash.subject import Subject


@dataclass(frozen=True)
class Call:
    """One call of a worker, without its fence."""

    name: str
    args: tuple[Any, ...]

    def make(self, store: Store, fence: Fence) -> Any:
        return getattr(store, self.name)(fence, *self.args)


class Recorder:
    """A store that remembers the calls that carry a fence."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        if not callable(call):
            return call

        def recorded(*args: Any, **kwargs: Any) -> Any:
            if args and isinstance(args[0], Fence):
                assert not kwargs, f"{name} is called with keywords: record them too"
                self.calls.append(Call(name, args[1:]))
            return call(*args, **kwargs)

        return recorded


def recorded(subject: Subject, folder: Path) -> list[Call]:
    """The calls of an undisturbed run, up to the end of its first attempt."""
    (folder / "journal").touch()
    with pytest.MonkeyPatch.context() as patch, closing(SqlStore(f"sqlite:///{folder}/recorded.db")) as store:
        patch.setenv(journal.FILE, str(folder / "journal"))
        patch.setenv(journal.PROCESS, "1")
        patch.chdir(folder)
        recorder = Recorder(store)
        try:
            subject.job.run(dict(subject.input), store=recorder)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - a subject that fails has made its calls
            print(f"the recorded run failed: {error}")
        return recorder.calls


def firsts(calls: list[Call]) -> Iterator[int]:
    """Where each kind of call is made first."""
    seen: set[str] = set()
    for at, call in enumerate(calls):
        if call.name not in seen:
            seen.add(call.name)
            yield at
