"""Which answer a worker's write gets, from one row of what is there. Pure: every engine asks it."""

from typing import Any

from resumable.state.outcome import (
    AlreadyDone,
    AlreadyStored,
    Fenced,
    Rewound,
    SignalsChanged,
    Stopped,
    Stored,
    WriteOutcome,
)
from resumable.state.record import Fence, RunStatus, StepStatus, Write


def no_such_run(fence: Fence) -> Fenced:
    """The run was deleted, or was never there: nobody may write to it, and no write makes it."""
    return Fenced(0, f"there is no run {fence.run_id!r}")


def check_fence(fence: Fence, attempt: int, nonce: str) -> Fenced | None:
    """`Fenced` unless the stored attempt and nonce are the fence's."""
    if attempt != fence.attempt:
        return Fenced(attempt, f"attempt {attempt} is the current one")
    if nonce != fence.nonce:
        return Fenced(attempt, f"attempt {attempt} was minted again, with another nonce")
    return None


def judge(
    fence: Fence,
    write: Write | None,
    name: str,
    key: str,
    row: tuple[Any, ...] | None,
    *,
    signal_seq: int | None = None,
) -> WriteOutcome:
    """What `step_write.guard` found, as an answer. `Stored`: nothing stands against the write.

    `write` None: a heartbeat. `signal_seq`: what the run's has to be, for a write that depends on it.
    """
    if row is None:
        return no_such_run(fence)
    attempt, nonce, status, stop_requested, signals, signal_is_there, still_there, written_id, *of_step = row
    step_status, step_attempt, step_sequence = of_step
    if fenced := check_fence(fence, attempt, nonce):
        return fenced
    if write and written_id == write.write_id:  # before all else: it did land, whatever happened since
        return AlreadyStored(stop_requested, signals)
    if status != RunStatus.RUNNING:
        return Stopped(RunStatus(status))
    if not still_there:
        return Rewound(missing(write))
    if step_status is not None:
        over_in_this_attempt = step_status == StepStatus.FAILED and step_attempt == fence.attempt
        if step_status == StepStatus.DONE or (write is None and over_in_this_attempt):
            return AlreadyDone(name, key)  # for a heartbeat: nothing of it runs that could be shown
        if write and (step_attempt, step_sequence) >= (fence.attempt, write.sequence):
            return AlreadyStored(stop_requested, signals)  # a later write of this attempt overtook it
    if not signal_is_there or signal_seq not in (None, signals):
        return SignalsChanged(signals)
    return Stored(stop_requested, signals)


def missing(write: Write | None) -> str:
    """The acknowledged write that is gone, in words."""
    after = write.after if write else None
    if after is None:
        return ""
    what = "the finished step" if after.kind == "step" else "the saved cursor of"
    key = f"[{after.key}]" if after.key else ""
    return (
        f"{what} {after.name}{key} (write {after.sequence} of this attempt) was acknowledged and is not there any more"
    )
