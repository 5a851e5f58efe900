"""The steps that earlier attempts left, as this one meets them: each once, by name and key."""

import threading
from collections.abc import Callable

from resumable.sdk.drift import Drift, StepId
from resumable.sdk.errors import DuplicateStep, InvalidStep
from resumable.sdk.running_step import RunningStep
from resumable.state.outcome import Begun
from resumable.state.record import StepStatus


class StoredSteps:
    """What `begin` has read of the steps, and which of them were met. Thread-safe."""

    def __init__(self, begun: Begun) -> None:
        self.done = {(step.name, step.key): step for step in begun.steps if step.status is StepStatus.DONE}
        self.expired = {(step.name, step.key): step for step in begun.expired}
        self.unfinished = {(step.name, step.key): step for step in begun.steps if step.status is not StepStatus.DONE}
        self.cursors = {(cursor.name, cursor.key): cursor for cursor in begun.cursors}
        self.drift = Drift((*begun.steps, *begun.expired))
        self.left_behind: dict[StepId, StepId] = {}  # by its new name, an unfinished step under its old one
        self.replayed = threading.Event()  # the first step was met that is not done yet
        if not self.done:
            self.replayed.set()
        self.before_fresh_step: Callable[[], None] = lambda: None
        self._meeting = threading.Lock()  # nobody who enters a step waits for another one's write
        self._met: set[StepId] = set()
        self._meetings = 0
        self._renamed: dict[StepId, str] = {}

    def enter(self, name: str, key: str, *, renamed_from: str = "") -> RunningStep:
        """Meet a step: its place in the order, once per name and key.

        `renamed_from`: what is stored under that name is this step's. Raises `DuplicateStep`, `InvalidStep`.
        """
        with self._meeting:
            if (name, key) in self._met:
                raise DuplicateStep(_duplicate(name, key))
            if (name, key) in self._renamed:
                raise InvalidStep(_taken_over(name, self._renamed[name, key]))
            self._met.add((name, key))
            self._meetings += 1
            if renamed_from:
                self._take_over((renamed_from, key), (name, key))
            else:
                self.drift.met((name, key), self._meetings)
            running = RunningStep(name, key, self._meetings)
        if (name, key) not in self.done:
            self.replayed.set()
            self.before_fresh_step()
        return running

    def _take_over(self, old: StepId, new: StepId) -> None:
        if old in self._met:
            raise InvalidStep(_taken_over(old[0], new[0]))
        self._renamed[old] = new[0]
        self.drift.renamed(old, new)
        if new in self.done or new in self.cursors:  # an earlier attempt knew the new name already
            return
        for steps in (self.done, self.expired, self.unfinished):
            if old in steps:
                steps[new] = steps[old]
        if old in self.cursors:
            self.cursors[new] = self.cursors[old]
        if old in self.unfinished:
            self.left_behind[new] = old

    def _forgotten(self, step: StepId) -> None:
        with self._meeting:
            for stored in (self.done, self.unfinished, self.cursors, self.expired):
                stored.pop(step, None)
            self.drift.forgotten(step)

    def _meet_again(self, step: StepId) -> None:
        with self._meeting:
            self._met.discard(step)


def _duplicate(name: str, key: str) -> str:
    if key:
        return f"step {name!r} was met twice with the key {key!r}; each pass of a loop needs a key of its own"
    return f"step {name!r} was met twice; in a loop give each pass a key: j.options(key=item.id).step({name!r}, …)"


def _taken_over(old: str, new: str) -> str:
    return f"step {new!r} says renamed_from={old!r}, but the job still has a step of that name; name one of them anew"
