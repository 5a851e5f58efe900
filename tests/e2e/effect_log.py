"""The judge: what the workers really did, read from this machine, and never from our own records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.cluster import wait_for

FILE = "effects.jsonl"


@dataclass(frozen=True)
class Effect:
    """One line of the log: something that was done, once."""

    name: str
    attempt: int
    details: dict[str, Any]


@dataclass(frozen=True)
class EffectLog:
    """The log of one job, in the folder of this machine that is the job's volume."""

    folder: Path

    def effects(self, name: str | None = None) -> list[Effect]:
        """What was done, in the order in which it was done; only the effects called `name` when given."""
        file = self.folder / FILE
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        effects = [Effect(line.pop("effect"), line.pop("attempt"), line) for line in lines]
        return [effect for effect in effects if name in (None, effect.name)]

    def count(self, name: str) -> int:
        """How often the effect called `name` happened."""
        return len(self.effects(name))

    def rows(self, attempt: int | None = None) -> list[int]:
        """The rows that were imported, in order; only those of `attempt` when given."""
        return [effect.details["row"] for effect in self.effects("row") if attempt in (None, effect.attempt)]

    def attempts(self) -> list[int]:
        """The attempts in the order in which they worked; one that shows up twice worked while another did."""
        return [attempt for attempt, _ in groupby(effect.attempt for effect in self.effects())]

    def say(self, word: str) -> None:
        """Tell the workers something (`effects.told`)."""
        (self.folder / f"said-{word}").touch()

    def hurry(self) -> None:
        """Let the rest of the job run at full speed."""
        self.say("hurry")

    def wait_for(
        self, happened: Callable[[EffectLog], bool], what: str, within: timedelta = timedelta(seconds=60)
    ) -> None:
        """Wait until `happened` is true of this log."""
        wait_for(lambda: happened(self), within, f"The effect log did not show {what}", state=self._tail)

    def wait_for_rows(self, count: int, *, attempt: int, within: timedelta = timedelta(seconds=60)) -> None:
        """Wait until `attempt` imported at least `count` rows."""
        self.wait_for(lambda log: len(log.rows(attempt)) >= count, f"{count} rows by attempt {attempt}", within)

    def check_each_row_once(self, rows: int) -> None:
        """Every row was imported once, in order: what holds when every attempt was asked to leave."""
        assert self.rows() == list(range(1, rows + 1))
        self._check_the_other_steps(rows)

    def check_no_row_missing(self, rows: int, *, repeated_at_most: int) -> None:
        """Every row was imported, and again only what came after a last save: what holds when attempts were killed."""
        times = Counter(self.rows())
        assert sorted(times) == list(range(1, rows + 1))
        repeated = times.total() - rows
        assert repeated <= repeated_at_most, f"{repeated} rows were imported again; the saves allow {repeated_at_most}"
        self._check_the_other_steps(rows)

    def _check_the_other_steps(self, rows: int) -> None:
        assert self.count("prepare") == 1
        assert [report.details["imported"] for report in self.effects("report")] == [rows]
        assert self.attempts() == sorted(set(self.attempts())), "two attempts worked at the same time"

    def _tail(self) -> list[Effect]:
        return self.effects()[-5:]
