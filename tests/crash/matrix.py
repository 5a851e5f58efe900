"""The matrix: every call that really happened × every fault, and pairs of them."""

import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

from tests.crash import journal
from tests.crash.controller import Lane
from tests.crash.faults import IN_PROCESS, Fault, Strike
from tests.crash.journal import Line
from tests.crash.judge import Outcome, Verdict, judge
from tests.crash.subject import subject

_SEED = 20261124  # the sampled cases are the same in each run


@dataclass
class Losses:
    """A case that went wrong."""

    strikes: tuple[Strike, ...]
    verdict: Verdict
    outcome: Outcome

    def __str__(self) -> str:
        what = [
            *(f"lost: {text}" for text in self.verdict.lost),
            *(f"done again: {text}" for text in self.verdict.repeated),
            *self.verdict.other,
        ]
        told = "\n    ".join([*what, f"exit codes {self.outcome.exit_codes}", *map(_as_text, self.outcome.lines)])
        return f"{' and '.join(map(str, self.strikes))}\n    {told}"


@dataclass
class Tally:
    """What a matrix came to."""

    store: str
    subject: str
    calls: int = 0
    singles: int = 0
    pairs: int = 0
    faulty: list[Losses] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return self.singles + self.pairs

    @property
    def lost(self) -> int:
        return sum(bool(loss.verdict.lost) for loss in self.faulty)

    @property
    def repeated(self) -> int:
        return sum(bool(loss.verdict.repeated) for loss in self.faulty)


def run_matrix(
    store: str, name: str, lanes: Sequence[Lane], *, singles: int | None, pairs: int, planted: str = ""
) -> Tally:
    """Torment the subject. `singles`: at most so many single faults (None: all of them); `pairs`: so many pairs."""
    undisturbed = lanes[0].run(name)
    assert undisturbed.status.terminal, f"{name} does not come to its end even undisturbed:\n{undisturbed.output}"
    tally = Tally(store, name, calls=len(journal.calls(undisturbed.lines)))
    chance = random.Random(f"{_SEED} {store} {name}")
    free: SimpleQueue[Lane] = SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def case(strikes: tuple[Strike, ...]) -> tuple[tuple[Strike, ...], Outcome]:
        lane = free.get()
        try:
            return strikes, lane.run(name, strikes, planted)
        finally:
            free.put(lane)

    def run(chosen: Iterable[tuple[Strike, ...]]) -> list[tuple[tuple[Strike, ...], Outcome]]:
        with ThreadPoolExecutor(len(lanes)) as threads:
            done = list(threads.map(case, chosen))
        for strikes, outcome in done:
            verdict = judge(
                undisturbed, outcome, strikes, subject(name).at_most_once, may_miss=subject(name).by_the_clock
            )
            if not verdict.good:
                tally.faulty.append(Losses(strikes, verdict, outcome))
        return done

    wire = lanes[0].proxy is not None
    all_singles = [(strike,) for line in _done(undisturbed.lines) for strike in strikes_at(line, wire)]
    first = run(_sample(chance, all_singles, singles))
    tally.singles = len(first)
    all_pairs = [
        (*strikes, second)
        for strikes, outcome in first
        for line in _after(outcome.lines, strikes[0])
        for second in strikes_at(line, wire)
    ]
    tally.pairs = len(run(_sample(chance, all_pairs, pairs)))
    return tally


def strikes_at(line: Line, wire: bool) -> list[Strike]:
    """Every fault that one call can meet."""

    def strike(fault: Fault, turn: int = 0) -> Strike:
        return Strike(line.process, line.call, fault, turn, line.of)

    found = [strike(fault) for fault in IN_PROCESS]
    if wire:
        found.append(strike(Fault.CONNECTION_CLOSED))
        found += [strike(Fault.REPLY_CUT, turn) for turn in range(1, line.turns + 1)]
        found += [strike(Fault.KILLED_INSIDE, turn) for turn in range(1, line.turns + 1)]
    return found


def _done(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line.moment == "done"]


def _after(lines: Sequence[Line], strike: Strike) -> list[Line]:
    """The calls of a disturbed run that came after the fault."""
    return [line for line in _done(lines) if (line.process, line.call) > (strike.process, strike.call)]


def _sample(chance: random.Random, strikes: list[tuple[Strike, ...]], most: int | None) -> list[tuple[Strike, ...]]:
    return strikes if most is None or len(strikes) <= most else chance.sample(strikes, most)


def _as_text(line: Line) -> str:
    if line.effect:
        return f"{line.process}: effect {line.effect}"
    if line.struck:
        return f"{line.process}: {line.struck}"
    return f"{line.process}: call {line.call} {line.of} {line.label} {line.moment} {line.answer}"
