"""Where a run can be disturbed, and how. Points are found by running the job: they are what really happened in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happens in a run that a death, or the wish that it leaves, can come before or after."""

    CALL = "call of the store"
    SAFE_POINT = "safe point"
    LOOK = "look whether to stop"  # `step.stopping`, and the head of each turn of `iterate`
    EFFECT = "effect"


class Blow(StrEnum):
    """How it is disturbed."""

    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    ASKED = "asked to leave at"


# Killed after a safe point or a look is killed before the next event: nothing has happened in between.
_BLOWS = {
    Kind.CALL: (Blow.KILLED_BEFORE, Blow.KILLED_AFTER),
    Kind.SAFE_POINT: (Blow.KILLED_BEFORE, Blow.ASKED),
    Kind.LOOK: (Blow.ASKED,),
    Kind.EFFECT: (Blow.KILLED_AFTER,),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    kind: Kind
    attempt: int
    of: str  # for people: "finish_step of ship[4711]"


@dataclass(frozen=True, slots=True)
class Point:
    """One disturbance: at the how manieth event of a run, from 0."""

    event: int
    blow: Blow

    def at(self, event: Event) -> str:
        """For people: what is done, and where."""
        return f"{self.blow} {event.of}, in attempt {event.attempt}"


def points(events: Iterable[Event]) -> list[Point]:
    """All disturbances of a run in which these happened, in order."""
    return [Point(number, blow) for number, event in enumerate(events) for blow in _BLOWS[event.kind]]
