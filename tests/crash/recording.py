"""The calls that a worker really makes, recorded, to be made again under another fence."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from resumable.sdk.errors import ControlException
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
        except (Exception, ControlException) as error:  # noqa: BLE001 - one that fails or waits has made its calls
            print(f"the recorded run failed: {error}")
        return recorder.calls


@dataclass(frozen=True)
class Moment:
    """One call of a run: `before` are those that were made earlier."""

    before: tuple[Call, ...]
    call: Call
    after: tuple[Call, ...]


def distinct(runs: Mapping[str, list[Call]]) -> dict[str, Moment]:
    """Of all calls of all runs one of each shape (what it says), under the name of its run and its own."""
    found: dict[tuple[Any, ...], tuple[str, Moment]] = {}
    for name, calls in runs.items():
        for at, call in enumerate(calls):
            moment = Moment(tuple(calls[:at]), call, tuple(calls[at + 1 :]))
            found.setdefault(_shape(call), (f"{name}-{at + 1}-{call.name}", moment))
    return dict(found.values())


def _shape(call: Call) -> tuple[Any, ...]:
    return (call.name, *(tuple(_said(arg)) if isinstance(arg, msgspec.Struct) else type(arg) for arg in call.args))


def _said(struct: msgspec.Struct) -> Iterator[Any]:
    """Which fields have another value than when nothing is said."""
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if value != field.default:
            yield field.name if not isinstance(value, Enum) else (field.name, value)
