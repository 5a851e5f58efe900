"""What a store answers to a write. Every answer has a name, so that none is mistaken for "no row".

The one thing that is not an answer is `StoreUnavailable`: nobody knows whether the write landed. The caller sends the
same write again (same write id) and then learns it.
"""

from typing import TypeAlias

import msgspec

from resumable.state.record import Attempt, Cursor, Run, RunStatus, Step


class Stored(msgspec.Struct, frozen=True, tag=True):
    """The write is durable. `stop_requested`: the reason why somebody wants this attempt to save and leave, or ""."""

    stop_requested: str = ""


class AlreadyStored(msgspec.Struct, frozen=True, tag=True):
    """The same write (same write id) landed before; its reply was lost."""

    stop_requested: str = ""


class AlreadyDone(msgspec.Struct, frozen=True, tag=True):
    """The step was finished by another write. Its stored result stands; this one was not stored."""

    name: str
    key: str


class Fenced(msgspec.Struct, frozen=True, tag=True):
    """Another attempt (or another process of this attempt) owns the run, or the run is gone. Nothing was written."""

    attempt: int
    why: str = ""


class Stopped(msgspec.Struct, frozen=True, tag=True):
    """The fence holds but the run is not running any more (ended, suspended, paused, …). Nothing was written."""

    status: RunStatus


class Rewound(msgspec.Struct, frozen=True, tag=True):
    """A write that was acknowledged is not there any more: the store went back in time. Nothing was written."""

    missing: str


class NotBound(msgspec.Struct, frozen=True, tag=True):
    """The pod that calls is not (yet) the one that the controller bound to this attempt.

    Ask again: it may be a moment early.
    """

    attempt: int


class Begun(msgspec.Struct, frozen=True, tag=True):
    """The resume's one read: everything that the earlier attempts finished and saved.

    `cursors` are those of steps that are not done: a done step's is of no use to a resume.
    """

    run: Run
    attempt: Attempt
    steps: tuple[Step, ...] = ()
    cursors: tuple[Cursor, ...] = ()


class Changed(msgspec.Struct, frozen=True, tag=True):
    """A controller's compare-and-set was done; this is the run afterwards."""

    run: Run


class Stale(msgspec.Struct, frozen=True, tag=True):
    """A controller's compare-and-set was refused: the run is not as it was read, or is gone (None).

    Read again and decide again.
    """

    run: Run | None


WriteOutcome: TypeAlias = Stored | AlreadyStored | AlreadyDone | Fenced | Stopped | Rewound
BeginOutcome: TypeAlias = Begun | Fenced | Stopped | NotBound
ChangeOutcome: TypeAlias = Changed | Stale


class StoreError(Exception):
    """Base of what a store raises. The message names the store, the operation and what to do."""


class StoreUnavailable(StoreError):
    """The store can't be reached or did not answer; whether a write landed is unknown. Try again."""


class StoreRefused(StoreError):
    """The store will not do this, now or later: not authorized, malformed, too large, schema too new or too old."""
