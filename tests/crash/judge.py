"""Whether a case went well. Pure: it compares the journal of the case with the undisturbed run's."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resumable.state.record import RunStatus, Step
from tests.crash.faults import Strike
from tests.crash.journal import Line


@dataclass(frozen=True)
class Outcome:
    """How a run came out: what the journal says, and the record at the end."""

    lines: tuple[Line, ...]
    status: RunStatus
    result: bytes | None
    steps: tuple[Step, ...]
    exit_codes: tuple[int, ...]
    folder: Path

    @property
    def output(self) -> str:
        """The end of what the processes printed."""
        return (self.folder / "output.log").read_text()[-3000:]

    @property
    def effects(self) -> list[str]:
        return [line.effect for line in self.lines if line.effect]

    @property
    def record(self) -> list[tuple[str, str, str, bytes]]:
        """What has to be the same, however often the run was disturbed."""
        return sorted((step.name, step.key, step.status.value, _timeless(step)) for step in self.steps)


def _timeless(step: Step) -> bytes:
    """Its result, without the moments in it (when a signal was sent)."""
    return re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z", b"<moment>", step.result.data) if step.result else b"null"


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a case; nothing when all three are empty."""

    lost: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    other: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not (self.lost or self.repeated or self.other)


def judge(
    undisturbed: Outcome,
    case: Outcome,
    strikes: Sequence[Strike],
    at_most_once: frozenset[str] = frozenset(),
    *,
    may_miss: bool = False,
) -> Verdict:
    """Nothing lost, nothing repeated that may not be, and the same end."""
    lost = [effect for effect in Counter(undisturbed.effects) - Counter(case.effects) if effect not in at_most_once]
    repeated = _again(case.lines) + [
        f"{effect}, which is at most once"
        for effect, times in Counter(case.effects).items()
        if times > 1 and effect.partition("/")[0] in at_most_once
    ]
    if not any(strike.fault.kills for strike in strikes):
        extra = Counter(case.effects) - Counter(undisturbed.effects)
        repeated += [f"{effect}, although no process was killed" for effect in extra]
    other = [f"{effect} is no effect of the undisturbed run" for effect in {*case.effects} - {*undisturbed.effects}]
    if case.status is not undisturbed.status:
        other.append(f"the run is {case.status}, undisturbed it is {undisturbed.status}")
    if case.result != undisturbed.result:
        lost.append(f"the result is {case.result!r}, undisturbed it is {undisturbed.result!r}")
    if case.record != undisturbed.record:
        lost.append(f"the record is {case.record}, undisturbed it is {undisturbed.record}")
    struck = len([line for line in case.lines if line.struck])
    if struck < len(strikes) and not may_miss:
        other.append(f"{len(strikes) - struck} of {len(strikes)} faults struck nothing")
    return Verdict(tuple(lost), tuple(repeated), tuple(other))


def _again(lines: Sequence[Line]) -> list[str]:
    """Effects that came once more although the store had acknowledged what they led to.

    After a step's result was stored none of its effects may come again; after its cursor was, none that came before it.
    """
    seen: Counter[str] = Counter()
    covered: dict[str, str] = {}  # an effect, or a step's label, to the call that covers it
    found = []
    for line in lines:
        if line.effect:
            cover = covered.get(line.effect) or covered.get(f"every effect of {line.step}")
            if cover:
                found.append(f"{line.effect} in process {line.process}, after {cover}")
            seen[line.effect] += 1
        elif line.moment == "before" and line.of == "forget_step":  # from here on it may be forgotten
            for key in [key for key in covered if key.rpartition(" ")[2].partition("/")[0] == line.label]:
                del covered[key]
        elif line.moment == "done" and line.answer in ("Stored", "AlreadyStored"):
            call = f"{line.of} of {line.label} was {line.answer} in process {line.process}"
            if line.covers == "all":
                covered[f"every effect of {line.label}"] = call
            elif line.covers == "so far":
                covered |= {effect: call for effect in seen if effect.partition("/")[0] == line.label}
    return found
