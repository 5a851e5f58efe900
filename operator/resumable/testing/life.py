"""One attempt as a process that can die: from its death on nothing that it does has an effect.

The process is simulated. A death raises `ProcessKilled`, which is a control exception: `except Exception` doesn't catch
it, and who catches it all the same meets it again at the next call of the store, safe point or effect. `finally` blocks
run, as they would not in a process that is killed; what they store, or declare as an effect, is refused.
"""

import threading
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from resumable.sdk.attempt import Attempt
from resumable.sdk.drift import label
from resumable.sdk.effects import AT_MOST_ONCE
from resumable.sdk.errors import ControlException
from resumable.sdk.interruption import Interruption
from resumable.sdk.running_step import RunningStep
from resumable.state.outcome import AlreadyStored, Started, Stored
from resumable.state.store import FinishedStep, StartedStep, Store
from resumable.testing.points import Blow, Event, Kind
from resumable.testing.recording import Effect, Finished, Forgotten, Happened, Recording, readable

_GRACE = timedelta(minutes=5)  # nobody waits for it to end: a debugger may stand in between


class ProcessKilled(ControlException):
    """The process of this attempt was killed, as far as the test can do that: let it pass."""


@dataclass(eq=False, slots=True)
class _Inside:
    """Code of a step's function, as far as its context goes."""

    running: RunningStep
    outer: "_Inside | None"
    open: bool = True


_inside: ContextVar[_Inside | None] = ContextVar("resumable_testing_inside", default=None)
_life: ContextVar["Life | None"] = ContextVar("resumable_testing_life", default=None)


class Life:
    """An attempt from its beginning to its death. Thread-safe."""

    def __init__(self, recording: Recording, attempt: int) -> None:
        self.recording = recording
        self.attempt = attempt
        self.interruption: Interruption = _WatchedInterruption(self)
        self.begun: set[str] = set()  # labels of at-most-once steps that have not ended
        self._dead = ""
        self._open: list[tuple[_Inside, bool]] = []  # and whether its code runs in a context that we don't know

    @classmethod
    def of_this_code(cls) -> "Life | None":
        """The life that the calling code belongs to; None: its thread is one of the author's own."""
        return _life.get()

    def begin(self) -> None:
        """All that is called from here on belongs to it."""
        _life.set(self)

    @property
    def killed(self) -> bool:
        """Whether it is over before its end."""
        return bool(self._dead)

    def check(self) -> None:
        """Raises `ProcessKilled` in what is left of a process that was killed."""
        if self._dead:
            raise ProcessKilled(self._dead)

    def kill(self) -> NoReturn:
        """Here and now."""
        self._dead = self.recording.struck
        killed = ProcessKilled(self._dead)
        self.interruption.leave(killed)

    def meets(self, kind: Kind, of: str) -> Blow | None:
        """An event. Being asked to leave, and killed before it, are done here."""
        self.check()
        blow = self.recording.happens(Event(kind, self.attempt, of))
        if blow is Blow.ASKED:
            self.interruption.ask("AskedByTest", "the test asked it to leave")
        if blow is Blow.KILLED_BEFORE:
            self.kill()
        return blow

    def effect(self, effect: Effect) -> None:
        """The author's code has done something to the world."""
        self.check()
        step = self._step()
        self.recording.add(Happened(effect, step, self.attempt))
        if self.meets(Kind.EFFECT, f"effect {readable(effect):.100}") is Blow.KILLED_AFTER:
            self.kill()

    # Which step's function is running

    def entered(self, running: RunningStep) -> None:
        """A step's function is about to be called in this context."""
        inside = _Inside(running, _inside.get())
        self._open.append((inside, threading.current_thread().name.startswith("resumable-writer")))
        _inside.set(inside)

    def left(self, running: RunningStep) -> None:
        """It has returned, or raised."""
        for each in [each for each in self._open if each[0].running is running]:
            each[0].open = False
            self._open.remove(each)

    def _step(self) -> str | None:
        inside = _inside.get()
        while inside is not None and not inside.open:
            inside = inside.outer
        if inside is not None:
            return inside.running.label
        knows = _life.get() is self
        return next((each.running.label for each, elsewhere in tuple(self._open) if elsewhere or not knows), None)


class WatchedAttempt(Attempt):
    """An attempt that says which step's function runs."""

    life: Life

    def show(self, step: RunningStep) -> None:
        super().show(step)
        self.life.entered(step)

    def hide(self, step: RunningStep) -> None:
        super().hide(step)
        self.life.left(step)


class _WatchedInterruption(Interruption):
    settle_seconds = 0.01  # fakes are quick, and the cases are many

    def __init__(self, life: Life) -> None:
        super().__init__(_GRACE)
        self._life = life

    @property
    def stopping(self) -> bool:
        if not self._life.killed:
            self._life.meets(Kind.LOOK, "a look whether to stop")
        return super().stopping

    def safe_point(self) -> None:
        self._life.meets(Kind.SAFE_POINT, "a safe point")
        super().safe_point()


class WatchedStore:
    """A worker's calls of the store. It has whatever calls the store has."""

    def __init__(self, store: Store, life: Life) -> None:
        self._store = store
        self._life = life

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            life = self._life
            step = next(
                (arg for arg in args if isinstance(arg, FinishedStep | StartedStep) or hasattr(arg, "key")), None
            )
            step_label = label((step.name, step.key)) if step is not None else ""
            if name == "forget_step":
                step_label = label((args[2], args[3]))
            blow = life.meets(Kind.CALL, f"{name} of {step_label}" if step_label else name)
            answer = call(*args, **kwargs)
            self._note(name, step, step_label, answer)
            if blow is Blow.KILLED_AFTER:
                life.kill()
            return answer

        return watched

    def _note(self, name: str, step: Any, step_label: str, answer: object) -> None:
        recording = self._life.recording
        if isinstance(step, StartedStep) and isinstance(answer, Started):
            (self._life.begun if step.effect == AT_MOST_ONCE else recording.waits).add(step_label)
        if not isinstance(answer, Stored | AlreadyStored):
            return
        if isinstance(step, FinishedStep):
            self._life.begun.discard(step_label)
            if not step.error or step.final:
                recording.add(Finished(step_label))
        elif name == "forget_step":
            recording.add(Forgotten(step_label))
