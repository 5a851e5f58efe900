"""What every store can do. One contract test suite (`tests/contract`) runs on all of them.

Two callers, two kinds of call:

* the **worker** is not trusted to be the only one. Each of its calls carries the `Fence` and is refused unless the
  fence is the stored one *and* the run is running; a refusal changes nothing.
* the **controller** reads, decides and writes by compare-and-set on `(attempt, status, version)`, the run's as it read
  it.

Calls are synchronous and thread-safe. They raise `StoreUnavailable` when nobody knows whether it was done: send the
same again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from resumable.state.outcome import (
    BeginOutcome,
    ChangeOutcome,
    SendOutcome,
    SignalsOutcome,
    StartOutcome,
    StoreError,
    WriteOutcome,
)
from resumable.state.record import (
    Cursor,
    Encoded,
    EndKind,
    Event,
    Fence,
    Run,
    RunStatus,
    RunView,
    Signal,
    Step,
    StepRef,
    StepTry,
    StoreInfo,
    Write,
)


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be created. `id` is the resource's UID (locally: the name that the author gave)."""

    id: str
    namespace: str
    name: str
    input: Encoded | None = None


class Expected(msgspec.Struct, frozen=True):
    """The run as the controller read it: what its compare-and-set compares."""

    attempt: int
    status: RunStatus
    version: int

    @classmethod
    def of(cls, run: Run) -> "Expected":
        """The run as it is in hand."""
        return cls(run.attempt, run.status, run.version)


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls `begin`."""

    process_id: str  # 128 random bits, hex, made once per process
    pod_uid: str = ""  # proven by the token when the state service asks; "" for a process without a pod
    code_version: str = ""
    record_version: int = 1  # `record.RECORD_VERSION` of the SDK that asks; refused when the run has a newer one


class FinishedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that came to its end, well or not."""

    name: str
    key: str = ""
    ordinal: int = 0
    result: Encoded | None = None
    error: str = ""  # not "": it failed
    duration_ms: int = 0  # by the worker's monotonic clock; the store derives `started` from its own "now"
    final: bool = False  # it failed for good: its retry policy is spent
    retry_after_ms: int | None = None  # it failed and will be tried again so much later
    expires_after_ms: int | None = None  # keep its result so long; None: for ever
    until_done: bool = False  # keep its result until the run has succeeded
    payload: Encoded | None = None  # the run's payload, stored in the same commit; None: it has not changed
    consumes: str = ""  # of a wait: the id of the signal that it takes, in the same commit
    signal_seq: int | None = None  # of a wait that timed out: as read; another one is `SignalsChanged`


class StartedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step whose start has to be on record before it runs: one with an at-most-once effect, a wait, a sleep."""

    name: str
    key: str = ""
    ordinal: int = 0
    effect: str = ""
    deadline_after_ms: int | None = None  # from the store's now, at the first start only
    deadline: datetime | None = None  # or an absolute one


class SavedCursor(msgspec.Struct, frozen=True, kw_only=True):
    """A step's cursor. Its write publishes `checkpoint`: before it the folder is nobody's."""

    name: str
    key: str = ""
    ordinal: int = 0
    value: Encoded | None = None
    checkpoint: str = ""
    running_ms: int = 0  # since the step began in this attempt
    progress_current: float | None = None
    progress_total: float | None = None
    progress_message: str = ""
    payload: Encoded | None = None  # as in `FinishedStep`


class StepActivity(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is doing right now, told by its heartbeat: makes a step visible that runs longer than a moment."""

    name: str
    key: str = ""
    ordinal: int = 0
    running_ms: int = 0
    progress_current: float | None = None
    progress_total: float | None = None
    progress_message: str = ""


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How the worker ends its run: Succeeded, Failed, Paused (rewound, unknown effect) or Waiting."""

    status: RunStatus
    reason: str = ""
    message: str = ""
    result: Encoded | None = None
    error: str = ""
    # Of Waiting. A signal of one of these names, or the moment, makes the run Pending again.
    wake_on: tuple[str, ...] = ()
    wake_at: datetime | None = None
    wake_after_ms: int | None = None  # or from the store's now
    signal_seq: int | None = None  # as read; another one is `SignalsChanged`: a signal came, do not leave
    expires_after_ms: int | None = None  # of a terminal status: remove the run's record so much later


class NewSignal(msgspec.Struct, frozen=True, kw_only=True):
    """A signal to be sent. `id` is the sender's: sent twice it counts once."""

    id: str
    name: str
    payload: Encoded | None = None
    sender: str = ""


class RestartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants run again. `request_id`: the same one again does nothing.

    `from_step`: that step and all that came after it (by ordinal) are forgotten. `forget`: these too. Neither: the run
    goes on with all that is stored.
    """

    request_id: str
    from_step: StepRef | None = None
    forget: tuple[StepRef, ...] = ()


class AttemptEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt's pod ended, as the controller counts it, and what becomes of the run."""

    attempt: int
    kind: EndKind
    cause: str
    message: str = ""
    exit_code: int | None = None
    node: str = ""
    pod_name: str = ""
    pod_uid: str = ""
    to: RunStatus  # ignored where the worker already wrote a terminal status, Waiting or Paused
    reason: str = ""


class WorkerStore(Protocol):
    """The calls of a worker. All but `begin` are refused unless that fence began."""

    def begin(self, fence: Fence, beginning: Beginning) -> BeginOutcome:
        """The worker's first call.

        The first process binds the attempt; another is `Fenced`; the same again is answered the same.
        """
        ...

    def start_step(self, fence: Fence, write: Write, step: StartedStep) -> StartOutcome:
        """Put a step's start on record before it runs. Durable when it returns.

        The first start fixes the deadline, by the store's clock; a later one, by the next attempt, is told it. A wait
        or a sleep (no `effect`) goes on as the same try; a step with an effect is a new one.
        """
        ...

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        """Store a step's result (or its failure). Durable when it returns.

        A step that is done stays as it is: `AlreadyDone`, also when its result has expired (`forget_step` comes first).
        With `payload`, `consumes` or `signal_seq` all of it is stored, or nothing (`SignalsChanged`). Of two payloads
        that of the later write of the attempt stands.
        """
        ...

    def save_cursor(self, fence: Fence, write: Write, cursor: SavedCursor) -> WriteOutcome:
        """Store how far a step got. Durable when it returns."""
        ...

    def heartbeat(self, fence: Fence, activity: tuple[StepActivity, ...] = ()) -> WriteOutcome:
        """Ask whether the fence still holds and whether a stop is wanted; show what runs.

        Makes no promise of durability.
        """
        ...

    def save_payload(self, fence: Fence, write: Write, payload: Encoded) -> WriteOutcome:
        """Store the payload that all steps share, unless a later write of this attempt has: also then `Stored`."""
        ...

    def read_signals(self, fence: Fence) -> SignalsOutcome:
        """The signals that no wait has taken, in the order they came."""
        ...

    def forget_step(self, fence: Fence, write: Write, name: str, key: str) -> WriteOutcome:
        """Remove a step and its cursor, so that it runs again; its tries stay as history.

        One that is not there is `Stored`; one that a later write of this attempt made anew is `AlreadyStored`, and
        stays. A later write must not name what was forgotten as the last acknowledged (`Write.after`).
        """
        ...

    def end_run(self, fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
        """End the run, or this attempt's part of it (`Transition.END`). Sent again it is `AlreadyStored`.

        As Waiting with a `signal_seq` that is not the run's: `SignalsChanged`, and the run goes on. As Succeeded it
        takes the results that were kept until then.
        """
        ...


class Store(WorkerStore, Protocol):
    """A store, whole: the worker's calls, the controller's, and the readers'."""

    def info(self) -> StoreInfo:
        """Which store this is, its schema, its grade of durability, its clock."""
        ...

    def create_run(self, run: NewRun) -> Run:
        """Make the record, or return the one that is there with this id (created by an earlier try)."""
        ...

    def get_run(self, run_id: str) -> Run | None: ...

    def view(self, run_id: str, *, steps: int = 12) -> RunView | None:
        """One consistent read for deciding and showing.

        At most `steps` steps, by ordinal: the first failed, the running, the newest.
        """
        ...

    def list_runs(self, namespace: str | None = None, *, limit: int = 500) -> tuple[Run, ...]:
        """The runs, the newest first."""
        ...

    def list_steps(self, run_id: str) -> tuple[Step, ...]:
        """All steps with their results, by ordinal."""
        ...

    def list_cursors(self, run_id: str) -> tuple[Cursor, ...]: ...

    def list_events(self, run_id: str, *, after: int = 0, limit: int = 100) -> tuple[Event, ...]: ...

    def list_signals(self, run_id: str) -> tuple[Signal, ...]:
        """All signals of the run, in the order they came, consumed or not."""
        ...

    def list_tries(self, run_id: str) -> tuple[StepTry, ...]:
        """Every try of every step, by step in order and then by number; the newest one of a step may be under way."""
        ...

    def list_woken(self, *, limit: int = 500) -> tuple[str, ...]:
        """The ids of runs that are Pending because a signal woke them or somebody restarted them, the newest first.

        That happened in the store alone, so the controller asks. Minting an attempt takes a run off the list.
        """
        ...

    def send_signal(self, run_id: str, signal: NewSignal) -> SendOutcome:
        """Store a signal, once for each id, and make the run Pending if it waits for one of that name."""
        ...

    def set_input(self, run_id: str, expected: Expected, value: Encoded | None) -> ChangeOutcome:
        """Replace the input; only while no attempt is under way."""
        ...

    def mint(self, run_id: str, expected: Expected, nonce: str) -> ChangeOutcome:
        """Mint attempt `expected.attempt + 1` with this nonce (`Transition.MINT`), clear `stop_requested`.

        Ends every earlier fence.
        """
        ...

    def bind_pod(
        self, run_id: str, attempt: int, nonce: str, *, pod_name: str, pod_uid: str, node: str = ""
    ) -> ChangeOutcome:
        """Say which pod is this attempt's. Idempotent; another UID for an attempt that has one is `Stale`."""
        ...

    def request_stop(self, run_id: str, expected_attempt: int, reason: str) -> ChangeOutcome:
        """Ask the current attempt to save and leave.

        Idempotent; `Stale` when another attempt is current or the run is over.
        """
        ...

    def count_end(self, run_id: str, end: AttemptEnd) -> ChangeOutcome:
        """Record an attempt's outcome, and move the run on when it is the current one.

        Done once: a second time changes nothing and is `Changed`.
        """
        ...

    def settle(
        self, run_id: str, expected: Expected, to: RunStatus, *, reason: str, message: str = ""
    ) -> ChangeOutcome:
        """Change the status while no pod lives (`Transition.SETTLE`)."""
        ...

    def restart(self, run_id: str, expected: Expected, request: RestartRequest) -> ChangeOutcome:
        """Open a new generation (`Transition.RESTART`); only while no attempt is under way.

        Raises `StoreRefused` for a `from_step` that the run does not have. The same request again is `Changed`.
        """
        ...

    def fork_run(self, source_id: str, new: NewRun, up_to: StepRef | None) -> Run | None:
        """Make a run that has `source_id`'s payload and finished steps up to that one (None: all of them), and its
        input unless `new` has one; or return the run that is there with the new id. None: there is no such source.

        Raises `StoreRefused` for an `up_to` that the source does not have.
        """
        ...

    def collect(self) -> int:
        """Remove results and records that were kept for a time that is over; how many."""
        ...

    def delete_run(self, run_id: str) -> None:
        """Remove the run and all that is its. Idempotent."""
        ...

    def close(self) -> None: ...


class GuardedWrite(NamedTuple):
    """A worker's write to one step: the arguments of `finish_step` or `save_cursor`."""

    fence: Fence
    write: Write
    step: FinishedStep | SavedCursor

    @property
    def size(self) -> int:
        """Bytes of the author's value."""
        value = self.step.result if isinstance(self.step, FinishedStep) else self.step.value
        return len(value.data) if value else 0


@runtime_checkable
class WritesTogether(Protocol):
    """A store that can write many steps in one commit."""

    @property
    def writes_groups(self) -> bool:
        """Whether that is faster than one commit each."""
        ...

    def write_together(self, writes: Sequence[GuardedWrite]) -> list[WriteOutcome | StoreError]:
        """The answer to each, as `finish_step` and `save_cursor` would give or raise it. Durable when it returns.

        The writes are independent of each other: a bad one costs the others nothing.
        """
        ...
