"""What a store holds of a run.

Timestamps are aware UTC datetimes by the *store's* clock, never a worker's or the controller's, and only the store's
clock says what is due. Values that belong to the author (results, cursors, input) are opaque bytes with the name of
their codec.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

# How the names of steps begin that undo what a run did: `compensate:ship` undoes `ship`.
COMPENSATE = "compensate:"
ON_FAILURE = "on-failure:"


class RunStatus(StrEnum):
    """Where a run is. `transitions.TABLE` says who may change it, and from what to what."""

    PENDING = "Pending"  # no process has begun: never started, backing off after a failure, or minted and not begun
    RUNNING = "Running"  # a worker's first call, `begin`, was accepted
    INTERRUPTED = "Interrupted"  # the attempt ended without its fault; the next one is due at once
    WAITING = "Waiting"  # for a signal or a time; no pod
    SUSPENDED = "Suspended"  # by `spec.suspend`; no pod
    PAUSED = "Paused"  # a person must act
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def terminal(self) -> bool:
        """Written once per generation; only an explicit restart opens a new one."""
        return self in _TERMINAL


_TERMINAL = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})


class StepStatus(StrEnum):
    """Where a step is. A `DONE` one never changes again within its generation."""

    STARTED = "Started"
    FAILED = "Failed"
    DONE = "Done"


class EndKind(StrEnum):
    """What an attempt's end counts as (`spec.interruptions`, `spec.backoffLimit`)."""

    COMPLETION = "Completion"  # the record says that the run is over, or that it waits
    INTERRUPTION = "Interruption"  # never spends the failure budget
    FAILURE = "Failure"
    REQUESTED = "Requested"  # suspended, cancelled, rolled out or restarted: somebody asked for it; spends nothing


# What this SDK reads and writes. Raised when an older SDK, resuming a run, would misread what a newer one stored.
RECORD_VERSION = 2


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """An author's value as it is stored."""

    codec: str
    data: bytes


class Fence(msgspec.Struct, frozen=True):
    """Who is allowed to write: the attempt's number and its nonce (128 random bits, hex), as minted in the store."""

    run_id: str
    attempt: int
    nonce: str


class WriteRef(msgspec.Struct, frozen=True):
    """The last write that was acknowledged to a worker. A store that does not have it any more went back in time.

    A finished step is looked for by its write id. A cursor is overwritten by later saves of the same attempt, so it is
    looked for by its sequence, which only grows: equal or higher is fine.
    """

    kind: str  # "step" | "cursor"
    name: str
    key: str
    write_id: str
    sequence: int


class Write(msgspec.Struct, frozen=True):
    """What each guarded write of a worker carries beside its fence.

    `write_id` (128 random bits, hex) stays the same when the write is sent again after a lost reply: then the answer is
    `AlreadyStored`, not a second write.
    """

    write_id: str
    sequence: int
    after: WriteRef | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `run`. `version` grows with each change of the row: what a compare-and-set compares."""

    id: str
    namespace: str
    name: str
    status: RunStatus
    reason: str = ""
    message: str = ""
    attempt: int = 0  # 0: none was minted yet
    nonce: str = ""
    stop_requested: str = ""  # the reason, while somebody wants the current attempt to save and leave; "": nobody does
    cancel_requested: bool = False
    generation: int = 1
    code_version: str = ""
    input: Encoded | None = None
    payload: Encoded | None = None
    result: Encoded | None = None
    error: str = ""
    wake_at: datetime | None = None  # of a Waiting run: when it goes on without a signal
    wake_on: tuple[str, ...] = ()  # of a Waiting run: the names of the signals that wake it
    signal_seq: int = 0  # grows with each signal: what the end of a wait compares
    restart_id: str = ""  # the request of the last restart: the same one again does nothing
    forked_from: str = ""  # the run whose history this one began with
    record_version: int = 1  # the newest `RECORD_VERSION` of the SDKs that wrote to it
    version: int = 1
    created: datetime
    started: datetime | None = None  # the first `begin` of all attempts
    updated: datetime
    finished: datetime | None = None
    expires: datetime | None = None  # of a finished run: when its record is removed; None: never

    @property
    def fence(self) -> Fence:
        """What a write by the current attempt has to carry."""
        return Fence(self.id, self.attempt, self.nonce)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `attempt`: one minted number, at most one process. Counters are derived from these, never stored."""

    number: int
    pod_name: str = ""
    pod_uid: str = ""  # bound by the controller when the pod was created; "" = never created, as far as anybody knows
    node: str = ""
    process_id: str = ""  # the process that began it (128 random bits, not a pid)
    minted: datetime
    begun: datetime | None = None
    ended: datetime | None = None
    end_kind: EndKind | None = None
    cause: str = ""  # CamelCase: "PreemptionByScheduler", "OOMKilled", …
    message: str = ""
    exit_code: int | None = None
    generation: int = 1  # budgets count the attempts of the run's current generation
    written_end: RunStatus | None = (
        None  # what the worker wrote before it left; a signal may have moved the run on since
    )
    # Kept when the end is counted, because later attempts overwrite cursors; derived from the rows until then.
    steps_done: int = 0  # finished by this attempt
    last_saved: datetime | None = None  # its last finished step or saved cursor: the rest until `ended` was lost
    progressed: bool = False  # a step done or a cursor saved since the mint


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `step`, identified by `(name, key)`. `key` is "" unless the author gave one.

    `gc=False`, here and of `Encoded`: neither can be part of a cycle, and a resume makes tens of thousands of them,
    which the collector would walk again and again.
    """

    name: str
    key: str = ""
    ordinal: int = 0  # order of first appearance; only to notice drift and to show steps in order
    status: StepStatus
    attempt: int
    tries: int = 1  # attempts in which it was seen to run
    interruptions: int = 0
    write_id: str = ""
    result: Encoded | None = None  # left out of views that don't ask for results
    error: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    progress_current: float | None = None
    progress_total: float | None = None
    progress_message: str = ""
    saved: datetime | None = None  # last cursor save
    failures: int = 0  # tries that failed, since it was last forgotten: what its retry policy counts
    final: bool = False  # failed for good: later attempts raise `StepFailed` again without running it
    retry_at: datetime | None = None  # a failed step's next try
    effect: str = ""  # "at-most-once": its start was recorded before it ran
    deadline: datetime | None = None  # of a wait or a sleep: fixed when it was first started
    expires: datetime | None = None  # from then on its result is not given to a worker
    until_done: bool = False  # its result goes when the run has succeeded


class StepRef(msgspec.Struct, frozen=True):
    """A step by name. `key` None: all its keys."""

    name: str
    key: str | None = None


class StepTry(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a step, over or not; `number` counts from 1."""

    name: str
    key: str = ""
    number: int
    attempt: int
    outcome: str  # "Failed" | "Interrupted" | "Done" | "Started"
    error: str = ""
    started: datetime | None = None
    finished: datetime | None = None


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A message to a run. Kept until a wait of its name consumes it; the same id twice is one signal."""

    id: str
    name: str
    payload: Encoded | None = None
    sender: str = ""
    sent: datetime
    consumed_by: str = ""  # the label of the wait that took it, as in `approval[7]`; "": it is there to be taken


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `cursor`: how far a step says it got inside itself, and where its checkpoint files are."""

    name: str
    key: str = ""
    value: Encoded | None = None
    checkpoint: str = ""  # location of the published checkpoint folder; "" = none
    sequence: int
    attempt: int
    write_id: str
    saved: datetime


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Wakes readers. What is shown is read from run and step, never from events (they are not in commit order)."""

    sequence: int
    type: str
    message: str = ""
    attempt: int = 0
    at: datetime


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One consistent read of a run for deciding and for showing: no results, no cursor values.

    `steps` is cut to the ones that a person wants to see (the failed, the running, the newest); the numbers are of all.
    """

    run: Run
    now: datetime  # the store's clock at the read
    attempts: tuple[Attempt, ...] = ()
    steps: tuple[Step, ...] = ()
    steps_done: int = 0
    steps_total: int = 0  # rows, whatever their status
    last_saved: datetime | None = None


class StoreInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which store this is. Another UUID than last time means: another store, or one that was made anew."""

    uuid: str
    schema_version: str
    durable: bool
    durability: str  # one sentence: how it was graded, and why
    now: datetime
