"""A run that waits for a signal or a time: no pod is kept for it.

The worker wrote what it waits for (`wake_on`, `wake_at`) and left. A signal is the store's business: it moves the run
to Pending in the transaction that stores the signal, so that none is lost between a look and an action. The moment is
ours, by the store's clock; an operator that was away at that moment finds it past and goes on at once.

A wait that ends brings progress (its step is done), and an attempt that ended to wait spends no budget.
"""

from datetime import UTC, datetime

from resumable.lifecycle.decision import Settle
from resumable.lifecycle.snapshot import Snapshot
from resumable.state.record import Run, RunStatus
from resumable.state.store import Expected

TIMER_DUE = "TimerDue"
SIGNAL_RECEIVED = "SignalReceived"  # written by the store

SIGNAL_WAIT = "SignalWait"
TIMER_WAIT = "TimerWait"


def settle(snapshot: Snapshot) -> Settle | None:
    """When its moment has come, let the run go on."""
    due = wakes_at(snapshot.run)
    if due is None or snapshot.now < due:
        return None
    return Settle(Expected.of(snapshot.run), RunStatus.PENDING, TIMER_DUE, f"it waited until {_utc(due)}")


def wakes_at(run: Run) -> datetime | None:
    """When a waiting run goes on without a signal; None: never, or it does not wait."""
    return run.wake_at if run.status is RunStatus.WAITING else None


def reason_of(run: Run) -> str:
    """Why a waiting run waits: the worker's own word, else by what wakes it."""
    return run.reason or (SIGNAL_WAIT if run.wake_on else TIMER_WAIT)


def message_of(run: Run) -> str:
    """What a waiting run waits for, and until when at the longest.

    The SDK says it of a wait and of a sleep in a sentence with the step's name; of anything else only why.
    """
    if run.message and run.reason in (SIGNAL_WAIT, TIMER_WAIT):
        return run.message
    until = f" until {_utc(run.wake_at)}" if run.wake_at is not None else ""
    if run.wake_on:
        noun = "the signal" if len(run.wake_on) == 1 else "one of the signals"
        what = f"waits for {noun} {', '.join(run.wake_on)}" + (until and f",{until} at the longest")
    elif until:
        what = f"waits{until}"
    else:
        what = "waits for no signal and no time: only spec.restart or spec.cancel ends it"
    return f"{what}: {run.message}" if run.message else what


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
