"""The steps that earlier attempts left, as this one meets them: each once, by name and key."""

import threading
from collections.abc import Callable

from resumable.sdk.drift import Drift, StepId, label
from resumable.sdk.errors import DuplicateStep, InvalidStep, ResultExpired
from resumable.sdk.running_step import RunningStep
from resumable.state.outcome import Begun
from resumable.state.record import Encoded, StepStatus

_MOST_NAMED = 20


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
        self._to_meet = set(self.done)  # what an earlier attempt finished, and this one has not come to yet
        self._finished_here: dict[StepId, Encoded | None] = {}
        self.before_fresh_step: Callable[[], None] = lambda: None
        self._meeting = threading.Lock()  # nobody who enters a step waits for another one's write
        self._met: set[StepId] = set()
        self._meetings = 0
        self._renamed: dict[StepId, str] = {}

    def enter(self, name: str, key: str, *, renamed_from: str = "") -> RunningStep:
        """Meet a step: its place in the order, once per name and key.

        `renamed_from`: what is stored under that name is this step's. Raises `DuplicateStep`, `InvalidStep`.
        """
        step = (name, key)
        with self._meeting:
            if step in self._met:
                raise DuplicateStep(_duplicate(name, key))
            if step in self._renamed:
                raise InvalidStep(_taken_over(name, self._renamed[step]))
            self._met.add(step)
            self._to_meet.discard(step)
            self._meetings += 1
            if renamed_from:
                self._take_over((renamed_from, key), step)
            else:
                self.drift.met(step, self._meetings)
            running = RunningStep(name, key, self._meetings)
        if step not in self.done and not self._failed_for_good(name, key):
            self.replayed.set()
            self.before_fresh_step()
        return running

    @property
    def replaying(self) -> bool:
        """Whether this attempt has met nothing yet but steps that were done, and more of them are to come."""
        return bool(self._to_meet) and not self.replayed.is_set()

    def finished(self, step: StepId, result: Encoded | None) -> None:
        """A step of this attempt is done, and stored."""
        self._finished_here[step] = result

    def result_of(self, step: StepId) -> Encoded | None:
        """What a step returned, in this attempt or in an earlier one. Raises `InvalidStep`, `ResultExpired`."""
        if step in self._finished_here:
            return self._finished_here[step]
        if step in self.done:
            return self.done[step].result
        if step in self.expired:
            raise ResultExpired(f"step {label(step)} is done, but its result was kept only for a time (keep=)")
        there = [label(each) for each in (*self.done, *self._finished_here)]
        names = f"{', '.join(there[:_MOST_NAMED])}{', …' if len(there) > _MOST_NAMED else ''}" or "none yet"
        failed = step in self.unfinished and self.unfinished[step].status is StepStatus.FAILED
        what = f"failed ({self.unfinished[step].error})" if failed else "has not finished"
        raise InvalidStep(f"step {label(step)} {what}, so it has no result; finished: {names}")

    def _failed_for_good(self, name: str, key: str) -> bool:
        stored = self.unfinished.get((name, key))
        return stored is not None and stored.final

    def _take_over(self, old: StepId, new: StepId) -> None:
        if old in self._met:
            raise InvalidStep(_taken_over(old[0], new[0]))
        self._renamed[old] = new[0]
        self._to_meet.discard(old)
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
            for stored in (self.done, self.unfinished, self.cursors, self.expired, self._finished_here):
                stored.pop(step, None)
            self._to_meet.discard(step)
            self.drift.forgotten(step)

    def _meet_again(self, step: StepId) -> None:
        with self._meeting:
            self._met.discard(step)


def _duplicate(name: str, key: str) -> str:
    if key:
        return f"step {name!r} was met twice with the key {key!r}; each pass of a loop needs a key of its own"
    return f"step {name!r} was met twice; in a loop give each pass a key: j.options(key=item.id), then its step or wait"


def _taken_over(old: str, new: str) -> str:
    if old == new:
        return f"step {new!r} says renamed_from={old!r}, which is its own name; say the name that it had before"
    return f"step {new!r} says renamed_from={old!r}, but the job still has a step of that name; name one of them anew"
