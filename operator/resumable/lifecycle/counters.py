"""Counters, derived from the attempts each time: a counter that is stored can be counted twice, a row can't."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from resumable.state.record import Attempt, EndKind


@dataclass(frozen=True, slots=True)
class Counters:
    """`status.counters`."""

    interruptions: int
    failures: int
    resumes: int  # attempts that began, after the first that did


def count(attempts: Sequence[Attempt]) -> Counters:
    """Count all attempts of a run."""
    return Counters(
        interruptions=sum(each.end_kind is EndKind.INTERRUPTION for each in attempts),
        failures=sum(each.end_kind is EndKind.FAILURE for each in attempts),
        resumes=max(0, sum(each.begun is not None for each in attempts) - 1),
    )


def without_progress(attempts: Sequence[Attempt], kind: EndKind) -> tuple[Attempt, ...]:
    """The ends of this kind, newest first, up to and including the newest attempt that progressed.

    For failures that one counts (it failed, after its progress); see `interrupted_without_progress` for the other rule.
    """
    row = []
    for attempt in _ended_newest_first(attempts):
        if attempt.end_kind is kind:
            row.append(attempt)
        if attempt.progressed:
            break
    return tuple(row)


def interrupted_without_progress(attempts: Sequence[Attempt]) -> int:
    """How many interruptions in a row brought nothing. What was asked for and what failed neither counts nor helps."""
    return sum(not each.progressed for each in without_progress(attempts, EndKind.INTERRUPTION))


def interrupted_before_begin(attempts: Sequence[Attempt], within: timedelta) -> tuple[datetime, int] | None:
    """When the newest of the interruptions in a row that hit before anything began ended, and how many they are.

    Such as a node that rejects each pod while it shuts down. `within`: one that lasted longer did run (without the
    SDK).
    """
    row = []
    for attempt in _ended_newest_first(attempts):
        ended = attempt.ended
        if attempt.end_kind is not EndKind.INTERRUPTION or attempt.begun is not None or ended is None:
            break
        if ended - attempt.minted >= within:
            break
        row.append(ended)
    return (row[0], len(row)) if row else None


def _ended_newest_first(attempts: Sequence[Attempt]) -> list[Attempt]:
    return sorted((each for each in attempts if each.ended is not None), key=lambda each: each.number, reverse=True)
