"""What a store answers to a write. Every answer has a name, so that none is mistaken for "no row".

The one thing that is not an answer is `StoreUnavailable`: nobody knows whether the write landed. The caller sends the
same write again (same write id) and then learns it.
"""

from datetime import datetime
from typing import TypeAlias

import msgspec

from resumable.state.record import Attempt, Cursor, Run, RunStatus, Signal, Step


class Stored(msgspec.Struct, frozen=True, tag=True):
    """The write is durable. `stop_requested`: the reason why somebody wants this attempt to save and leave, or "".

    `signal_seq`: the run's, so that a worker in a wait notices a signal without a read of its own.
    """

    stop_requested: str = ""
    signal_seq: int = 0


class AlreadyStored(msgspec.Struct, frozen=True, tag=True):
    """The same write (same write id) landed before; its reply was lost."""

    stop_requested: str = ""
    signal_seq: int = 0


class Started(msgspec.Struct, frozen=True, tag=True):
    """The step's start is recorded, by this write or by an earlier attempt's.

    `deadline` is the one that was fixed at the first start; `now` is the store's clock.
    """

    now: datetime
    deadline: datetime | None = None
    stop_requested: str = ""
    signal_seq: int = 0


class SignalsChanged(msgspec.Struct, frozen=True, tag=True):
    """The signals are not as the write says (one came, or the one to consume was taken). Nothing was written: read
    them again.
    """

    signal_seq: int


class SignalsRead(msgspec.Struct, frozen=True, tag=True):
    """The signals that are there to be taken, in the order they came."""

    signals: tuple[Signal, ...]
    signal_seq: int
    now: datetime


class Sent(msgspec.Struct, frozen=True, tag=True):
    """The signal is stored, and the run woken if it waits for it."""

    signal_seq: int


class AlreadySent(msgspec.Struct, frozen=True, tag=True):
    """A signal with this id was sent before; nothing was written."""


class RunEnded(msgspec.Struct, frozen=True, tag=True):
    """The run is over: no wait of it will take a signal any more."""

    status: RunStatus


class NoSuchRun(msgspec.Struct, frozen=True, tag=True):
    """There is no run with this id."""


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

    `cursors` are those of steps that are not done: a done step's is of no use to a resume. `signals` are those that no
    wait has consumed. `expired` are done steps whose results were kept for a time that is over (without results); they
    are not in `steps`.
    """

    run: Run
    attempt: Attempt
    steps: tuple[Step, ...] = ()
    cursors: tuple[Cursor, ...] = ()
    signals: tuple[Signal, ...] = ()
    expired: tuple[Step, ...] = ()
    now: datetime | None = None  # the store's clock; None: a store of an older version
    previous_code_version: str = ""  # of the attempt that began last before this one


class Changed(msgspec.Struct, frozen=True, tag=True):
    """A controller's compare-and-set was done; this is the run afterwards."""

    run: Run


class Stale(msgspec.Struct, frozen=True, tag=True):
    """A controller's compare-and-set was refused: the run is not as it was read, or is gone (None).

    Read again and decide again.
    """

    run: Run | None


WriteOutcome: TypeAlias = Stored | AlreadyStored | AlreadyDone | Fenced | Stopped | Rewound | SignalsChanged
StartOutcome: TypeAlias = Started | AlreadyDone | Fenced | Stopped | Rewound
SignalsOutcome: TypeAlias = SignalsRead | Fenced | Stopped
SendOutcome: TypeAlias = Sent | AlreadySent | RunEnded | NoSuchRun
BeginOutcome: TypeAlias = Begun | Fenced | Stopped | NotBound
ChangeOutcome: TypeAlias = Changed | Stale


class StoreError(Exception):
    """Base of what a store raises. The message names the store, the operation and what to do."""


class StoreUnavailable(StoreError):
    """The store can't be reached or did not answer; whether a write landed is unknown. Try again."""


class StoreRefused(StoreError):
    """The store will not do this, now or later: not authorized, malformed, too large, schema too new or too old."""
