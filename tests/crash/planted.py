"""Bugs to plant between a worker and its store, to see that the judge finds them."""

from collections.abc import Callable
from typing import Any

import msgspec

from resumable.state.outcome import Begun, Stored
from resumable.state.store import Store


class _Bug:
    """A store with some calls replaced."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class ResultsAreDropped(_Bug):
    """A result is acknowledged before it is stored, and then isn't."""

    def finish_step(self, *_: object) -> Stored:
        return Stored()


class CursorsAreDropped(_Bug):
    """As an asynchronous save would be, whose process dies."""

    def save_cursor(self, *_: object) -> Stored:
        return Stored()


class ResumeReadsNoSteps(_Bug):
    """The resume's read misses what is done."""

    def begin(self, *args: Any) -> Any:
        answer = self._store.begin(*args)
        return msgspec.structs.replace(answer, steps=()) if isinstance(answer, Begun) else answer


class ResumeReadsAnotherResult(_Bug):
    """A result comes back as something else."""

    def begin(self, *args: Any) -> Any:
        answer = self._store.begin(*args)
        if not isinstance(answer, Begun):
            return answer
        other = msgspec.json.encode("other")
        steps = [
            msgspec.structs.replace(step, result=msgspec.structs.replace(step.result, data=other))
            if step.result
            else step
            for step in answer.steps
        ]
        return msgspec.structs.replace(answer, steps=tuple(steps))


BUGS: dict[str, Callable[[Store], Any]] = {
    bug.__name__: bug for bug in (ResultsAreDropped, CursorsAreDropped, ResumeReadsNoSteps, ResumeReadsAnotherResult)
}
