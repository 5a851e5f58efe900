"""The jobs that are tormented: each module in `jobs/` is one, under its name."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from resumable.sdk.job import JobDefinition
from tests.crash import jobs


@dataclass(frozen=True)
class Subject:
    """A job, what it is started with, and what the world does while it runs."""

    job: JobDefinition[..., Any]
    input: Mapping[str, Any] = field(default_factory=dict)
    signals: Mapping[str, Any] = field(default_factory=dict)  # by name: sent when the run waits for one of that name
    at_most_once: frozenset[str] = frozenset()  # steps whose effect may be missing after a crash, but never comes twice
    by_the_clock: bool = False  # how many calls it makes depends on time: a fault may find no call to strike at
    checkpoints: bool = False
    by_hand: bool = False  # started as `python job.py` does, on a local store: it mints its own attempts


def names() -> list[str]:
    """All subjects."""
    return sorted(module.name for module in pkgutil.iter_modules(jobs.__path__))


@cache
def subject(name: str) -> Subject:
    """The subject of that name."""
    found = importlib.import_module(f"{jobs.__name__}.{name}").SUBJECT
    assert isinstance(found, Subject)
    return found
