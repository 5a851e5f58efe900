"""One line a measurement: our time, the reference's of the same run, their ratio and its spread, and the goal."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_CHUNKS = 10


@dataclass(frozen=True)
class Row:
    """One measurement. `met` None: there is no goal."""

    work: str
    ours: str
    reference: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        return "" if self.met is None else "met" if self.met else "missed"

    def cells(self) -> tuple[str, ...]:
        return (self.work, self.ours, self.reference, self.ratio, self.goal, self.verdict)


HEADINGS = ("work", "ours", "reference", "ratio", "goal", "")


@dataclass(frozen=True)
class Comparison:
    """Two series that were measured in turn. Times in seconds."""

    ours: float
    reference: float
    ratio: float  # ours / reference, of the medians
    low: float  # the same, of tenths of the series
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], reference: Sequence[float]) -> "Comparison":
        ratios = sorted(
            statistics.median(mine) / statistics.median(other)
            for mine, other in zip(_chunks(ours), _chunks(reference), strict=True)
        )
        mine, other = statistics.median(ours), statistics.median(reference)
        return cls(mine, other, mine / other, ratios[0], ratios[-1])

    def at_most(self, work: str, reference: str, goal: float | None = None, note: str = "") -> Row:
        """Ours may take so many times as long."""
        ratio = f"{self.ratio:.2f} x ({self.low:.2f}–{self.high:.2f})"
        met = None if goal is None else self.ratio <= goal
        wanted = "" if goal is None else f"<= {goal:g} x"
        return Row(work, duration(self.ours), f"{reference} {duration(self.reference)}", ratio, wanted, met, note)

    def faster(self, work: str, reference: str, goal: float | None = None, note: str = "") -> Row:
        """The reference takes so many times as long."""
        ratio = f"{1 / self.ratio:.1f} x faster ({1 / self.high:.1f}–{1 / self.low:.1f})"
        met = None if goal is None else 1 / self.ratio >= goal
        wanted = "" if goal is None else f">= {goal:g} x faster"
        return Row(work, duration(self.ours), f"{reference} {duration(self.reference)}", ratio, wanted, met, note)


def _chunks(series: Sequence[float]) -> list[Sequence[float]]:
    size = max(1, len(series) // _CHUNKS)
    return [series[at : at + size] for at in range(0, size * min(_CHUNKS, len(series)), size)]


def duration(seconds: float) -> str:
    """As people read it."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def printed(rows: Sequence[Row]) -> str:
    """For a terminal."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def markdown(rows: Sequence[Row]) -> str:
    """For RESULTS.md."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.cells() for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = "\n".join(f"* **{row.work}**: {row.note}" for row in rows if row.note)
    return f"{table}\n\n{notes}" if notes else table
