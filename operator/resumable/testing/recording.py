"""What happened in one case: the author's effects, what the store acknowledged, and where it was disturbed."""

import threading
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from resumable.testing.points import Blow, Event, Kind, Point

Effect: TypeAlias = tuple[Any, ...]


def readable(effect: Effect) -> str:
    """As it was declared: `'charged', 4711`."""
    return ", ".join(map(repr, effect))


@dataclass(frozen=True, slots=True)
class Happened:
    """An effect of the author's code."""

    effect: Effect
    step: str | None  # the label of the step that it was in; None: it was outside of any
    attempt: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The store has acknowledged a step's end: nothing of it may happen again."""

    step: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The store has forgotten the step: it may run again."""

    step: str


Line: TypeAlias = Happened | Finished | Forgotten


@dataclass
class Recording:
    """Of one case. Thread-safe."""

    point: Point | None = None  # where to disturb it
    events: list[Event] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    struck: str = ""  # where it was disturbed, for people
    waits: set[str] = field(default_factory=set)  # labels of waits and sleeps: their results hold moments
    unknown: set[str] = field(
        default_factory=set
    )  # labels of at-most-once steps that an attempt has begun and not ended

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[int] = set()

    def happens(self, event: Event) -> Blow | None:
        """Write it down. Returns how the run is disturbed here, if it is."""
        with self._lock:
            number = len(self.events)
            self.events.append(event)
            self._threads.add(threading.get_ident())
            if self.point is None or self.point.event != number:
                return None
            blow = self.point.blow
            if event.kind is Kind.LOOK and blow is not Blow.ASKED:
                return None  # threads took turns in another order: a look is no place to be killed at
            self.struck = self.point.at(event)
            return blow

    def add(self, line: Line) -> None:
        """Write down what can't be undone."""
        with self._lock:
            self.lines.append(line)

    @property
    def effects(self) -> list[Effect]:
        """In the order in which they happened."""
        with self._lock:
            return [line.effect for line in self.lines if isinstance(line, Happened)]

    @property
    def concurrent(self) -> bool:
        """Whether several threads took part, so that the order of things is another one each time."""
        return len(self._threads) > 1
