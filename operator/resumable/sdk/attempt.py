"""The process's one attempt at a run: its fence, what earlier attempts left, and every write it makes.

`begin` is the only read. After it each write carries the fence, an id of its own (so that a repeated one is known),
and the last write that was acknowledged (so that a store that went back in time is noticed).
"""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import msgspec

from resumable.sdk.acknowledged import Acknowledged
from resumable.sdk.drift import label
from resumable.sdk.durations import milliseconds
from resumable.sdk.errors import Fenced, Interrupted, InvalidStep, Rewound, StepCutOff, UnstorableResult
from resumable.sdk.interruption import STOPPED, Interruption
from resumable.sdk.patience import Patience
from resumable.sdk.payload import Payload
from resumable.sdk.retention import KEPT_FOREVER, Retention
from resumable.sdk.running_step import RunningStep, trying
from resumable.sdk.stored_steps import StoredSteps
from resumable.sdk.write_turns import WriteTurns
from resumable.state import outcome
from resumable.state.record import RECORD_VERSION, Cursor, Encoded, Fence, RunStatus, Write, WriteRef
from resumable.state.store import (
    Beginning,
    FinishedStep,
    RunEnd,
    SavedCursor,
    StartedStep,
    WorkerStore,
)

STATE_REWOUND = "StateRewound"

_VISIBLE_AFTER = 1.0  # a faster step needs no heartbeat: its finish shows it


class Attempt(StoredSteps):
    """One process at work on one run."""

    def __init__(
        self, store: WorkerStore, fence: Fence, begun: outcome.Begun, interruption: Interruption, patience: Patience
    ) -> None:
        self.fence = fence
        self.run = begun.run
        self.interruption = interruption
        super().__init__(begun)
        self._store = store
        self._patience = patience
        self._process = os.getpid()
        self.before_end: Callable[[RunEnd], RunEnd] = lambda end: end
        self._turns = WriteTurns()
        self._numbering = threading.Lock()
        self._sequence = max((cursor.sequence for cursor in begun.cursors), default=0)
        self._acknowledged = Acknowledged()
        self.previous_code_version = begun.previous_code_version
        self._running: list[RunningStep] = []
        self.last_contact = self._began = time.monotonic()
        self._store_time = begun.now
        self.signals = outcome.SignalsRead(begun.signals, begun.run.signal_seq, begun.now or begun.run.updated)
        self.longest_hold: timedelta | None = None  # what waits longer leaves; None: as the author says
        self.kept_ms: int | None = None  # how long the record stays when the run is over; None: for ever
        self.payload = Payload(begun.run.payload)  # what of it has changed goes into the next write of a step

    @classmethod
    def begin(
        cls,
        store: WorkerStore,
        fence: Fence,
        interruption: Interruption,
        *,
        store_timeout: timedelta,
        pod_uid: str = "",
        code_version: str = "",
    ) -> "Attempt":
        """Bind the attempt to this process and read what the earlier ones left. Raises a control exception when it is
        not ours.
        """
        patience = Patience(interruption, store_timeout)
        beginning = Beginning(
            process_id=os.urandom(16).hex(), pod_uid=pod_uid, code_version=code_version, record_version=RECORD_VERSION
        )

        def ask() -> outcome.Begun | outcome.Fenced | outcome.Stopped:
            match store.begin(fence, beginning):
                case outcome.NotBound(attempt):
                    raise outcome.StoreUnavailable(f"this pod is not yet known as attempt {attempt}'s")
                case answer:
                    return answer

        match patience.call(ask, use_grace=False):  # nothing to save yet
            case outcome.Begun() as begun:
                return cls(store, fence, begun, interruption, patience)
            case outcome.Fenced(attempt, why):
                raise Fenced(_fenced(fence, attempt, why))
            case outcome.Stopped(status):
                raise Interrupted(STOPPED, f"the run is {status}: there is nothing to do for this attempt")

    # Steps

    def enter(self, name: str, key: str, *, renamed_from: str = "") -> RunningStep:
        self._check_process()
        return super().enter(name, key, renamed_from=renamed_from)

    def show(self, step: RunningStep) -> None:
        """Let the heartbeat show it."""
        self._running.append(step)

    def hide(self, step: RunningStep) -> None:
        """It runs no more."""
        self._running.remove(step)

    def cut_off(self, step: RunningStep) -> None:
        """Nothing of this try is stored any more; a write under way comes to its end first."""
        with self._turns.alone:
            step.cut_off = True

    def now(self) -> datetime | None:
        """The store's clock, as far as it is known here; None: a store of an older version."""
        if self._store_time is None:
            return None
        return self._store_time + timedelta(seconds=time.monotonic() - self._began)

    def hold(self, wanted: timedelta) -> timedelta:
        """How long a wait keeps the process."""
        return wanted if self.longest_hold is None else min(wanted, self.longest_hold)

    def finish_step(
        self,
        step: RunningStep,
        *,
        result: Encoded | None = None,
        error: str = "",
        final: bool = False,
        retry_after: timedelta | None = None,
        keep: Retention = KEPT_FOREVER,
        consumes: str = "",
        signal_seq: int | None = None,
    ) -> bool:
        """Store how a step ended, and the payload with a result. Durable when this returns.

        `final`: it failed for good. `retry_after`: it failed and is tried again then. `consumes`, `signal_seq`: of a
        wait, the signal that it takes, or what it knows of the signals. False: those have changed, nothing was written.
        """
        finished = FinishedStep(
            name=step.name,
            key=step.key,
            ordinal=step.ordinal,
            result=result,
            error=error,
            duration_ms=step.running_ms,
            final=final,
            retry_after_ms=None if retry_after is None else milliseconds(retry_after),
            expires_after_ms=keep.expires_after_ms,
            until_done=keep.until_done,
            consumes=consumes,
            signal_seq=signal_seq,
        )
        self._check_process()  # a fork has its turns from the moment of forking: it could wait for ever
        payload = None if error else self._changed_payload()
        alone = payload is not None or bool(consumes) or signal_seq is not None
        with self._turns.alone if alone else self._turns.together:
            if payload is not None:
                payload = self._changed_payload()  # as it is now: an older one never overwrites a newer
                finished = msgspec.structs.replace(finished, payload=payload)
            stored = self._write(
                lambda write: self._store.finish_step(self.fence, write, finished), kind="step", step=step
            )
            if payload is not None and stored:
                self.payload.stored(payload)
        if stored and not error:
            self.finished((step.name, step.key), result)
        if stored and not error and (old := self.left_behind.pop((step.name, step.key), None)):
            self.forget_step(*old)  # else it would be shown as running for ever
        return stored

    def start_step(
        self,
        step: RunningStep,
        *,
        effect: str = "",
        deadline_after: timedelta | None = None,
        deadline: datetime | None = None,
    ) -> outcome.Started:
        """Put on record that the step has begun, before it does anything. Its first start fixes its deadline."""
        started = StartedStep(
            name=step.name,
            key=step.key,
            ordinal=step.ordinal,
            effect=effect,
            deadline_after_ms=None if deadline_after is None else milliseconds(deadline_after),
            deadline=deadline,
        )
        self._check_process()
        with self._turns.together:
            write = Write(os.urandom(16).hex(), self.next_sequence(), self._acknowledged.to_name())
            answer = self._patience.call(lambda: self._store.start_step(self.fence, write, started))
            self.last_contact = time.monotonic()
        if not isinstance(answer, outcome.Started):
            self._leave_refused(answer)
        if answer.stop_requested:
            self.interruption.ask(answer.stop_requested)
        return answer

    def read_signals(self) -> outcome.SignalsRead:
        """The signals that no wait has taken yet, and the store's clock."""
        answer = self._patience.call(lambda: self._store.read_signals(self.fence))
        self.last_contact = time.monotonic()
        if not isinstance(answer, outcome.SignalsRead):
            self._leave_refused(answer)
        return answer

    def forget_step(self, name: str, key: str) -> None:
        """Remove what is stored of a step, as if it had never run."""
        with self._turns.alone:
            self._acknowledged.forget(name, key)  # the next write must not count on what is about to go
            self._write(lambda write: self._store.forget_step(self.fence, write, name, key))
        self._forgotten((name, key))

    def forget(self, name: str, key: str) -> None:
        """Remove a step, and let it be met once more in this attempt."""
        self.forget_step(name, key)
        self._meet_again((name, key))

    def save_cursor(self, step: RunningStep, value: Encoded | None, checkpoint: str) -> None:
        """Store how far a step got, and publish its checkpoint. Durable when this returns."""
        cursor = SavedCursor(
            name=step.name,
            key=step.key,
            ordinal=step.ordinal,
            value=value,
            checkpoint=checkpoint,
            running_ms=step.running_ms,
            progress_current=step.progress_current,
            progress_total=step.progress_total,
            progress_message=step.progress_message,
        )
        self._check_process()
        payload = self.payload.changed()  # raises what is wrong with it before anything is written
        with self._turns.together if payload is None else self._turns.alone:
            if payload is not None:
                payload = self._changed_payload()
                cursor = msgspec.structs.replace(cursor, payload=payload)
            self._write(lambda write: self._store.save_cursor(self.fence, write, cursor), kind="cursor", step=step)
            if payload is not None:
                self.payload.stored(payload)
            self.cursors[step.name, step.key] = self._as_stored(cursor)  # where the step's next try goes on

    def _as_stored(self, saved: SavedCursor) -> Cursor:
        return Cursor(
            name=saved.name,
            key=saved.key,
            value=saved.value,
            checkpoint=saved.checkpoint,
            sequence=self._sequence,
            attempt=self.fence.attempt,
            write_id="",
            saved=self.now() or datetime.now(UTC),
        )

    def next_sequence(self) -> int:
        """A number that no other write or folder of this attempt has."""
        with self._numbering:
            self._sequence += 1
            return self._sequence

    # The run

    def _changed_payload(self) -> Encoded | None:
        """What the write that has the lock carries: an older payload never overwrites a newer one."""
        try:
            return self.payload.changed()
        except UnstorableResult:
            return None  # another thread has spoilt it since it was checked: its own write says so

    def save_payload(self) -> None:
        """Store the payload by itself, if it has changed. Raises `UnstorableResult`."""
        with self._turns.alone:
            payload = self.payload.changed()
            if payload is not None:
                self._write(lambda write: self._store.save_payload(self.fence, write, payload))
                self.payload.stored(payload)

    def end(self, end: RunEnd) -> bool:
        """End the run, or this attempt's part of it. False: a signal came that the end didn't count on; nothing was
        written.
        """
        if end.status.terminal and self.kept_ms is not None:
            end = msgspec.structs.replace(end, expires_after_ms=self.kept_ms)
        end = self.before_end(end)
        with self._turns.alone:
            self._name_all()
            return self._write(lambda write: self._store.end_run(self.fence, write, end))

    def _name_all(self) -> None:
        """Writes that were under way at the same time, and that no later one has named: all of them must be there."""
        payload = self.payload.as_stored()
        while len(self._acknowledged) > 1:
            self._write(lambda write: self._store.save_payload(self.fence, write, payload))

    def pause_rewound(self, why: Rewound) -> None:
        """Pause the run because its store went back in time. Raises `StoreError` when that can't be written."""
        end = RunEnd(status=RunStatus.PAUSED, reason=STATE_REWOUND, message=str(why))
        write = Write(os.urandom(16).hex(), self.next_sequence())  # names no earlier write: that one is what is missing
        self._store.end_run(self.fence, write, end)

    def beat(self) -> None:
        """Show what runs, and learn whether to go on. Raises `StoreError`; asks no second time."""
        running = tuple(step.activity() for step in tuple(self._running) if step.running_ms >= _VISIBLE_AFTER * 1000)
        match self._store.heartbeat(self.fence, running):
            case outcome.Fenced(attempt, why):
                self.interruption.fence(_fenced(self.fence, attempt, why))
            case outcome.Stopped(status):
                self.interruption.ask(STOPPED, f"the run is {status}")
            case outcome.Stored(reason) | outcome.AlreadyStored(reason) if reason:
                self.interruption.ask(reason)
            case _:
                pass
        self.last_contact = time.monotonic()

    # Writing

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise InvalidStep("steps run, and save, in the process that began the attempt, not in a fork of it")
        self.check_in_time(trying.get())

    def check_in_time(self, step: RunningStep | None) -> None:
        """Raises `StepCutOff` in what is left of a try whose time is over."""
        if step is not None and step.cut_off:
            raise StepCutOff(f"step {step.label}: its time is over, the job has gone on without it")

    def _write(
        self, send: Callable[[Write], outcome.WriteOutcome], *, kind: str = "", step: RunningStep | None = None
    ) -> bool:
        """Within a turn. False: the signals are not as the write says, nothing was written. Other refusals raise."""
        self._check_process()
        self.check_in_time(step)
        write = Write(os.urandom(16).hex(), self.next_sequence(), self._acknowledged.to_name())
        answer = self._patience.call(lambda: send(write))
        self.last_contact = time.monotonic()
        if isinstance(answer, outcome.SignalsChanged):
            return False
        if not isinstance(answer, outcome.Stored | outcome.AlreadyStored):
            self._leave_refused(answer)
        ref = None if step is None else WriteRef(kind, step.name, step.key, write.write_id, write.sequence)
        self._acknowledged.add(ref, named=write.after)
        if answer.stop_requested:
            self.interruption.ask(answer.stop_requested)
        return True

    def _leave_refused(
        self, refusal: outcome.Fenced | outcome.Stopped | outcome.Rewound | outcome.AlreadyDone
    ) -> NoReturn:
        match refusal:
            case outcome.Fenced(attempt, why):
                message = _fenced(self.fence, attempt, why)
                self.interruption.fence(message)
                self.interruption.leave(Fenced(message))
            case outcome.Stopped(status):
                message = f"the run is {status}: nothing more is stored"
                self.interruption.ask(STOPPED, message)
                self.interruption.leave(Interrupted(STOPPED, message))
            case outcome.Rewound(missing):
                self.interruption.leave(Rewound(f"the store went back in time: {missing} was stored and is gone"))
            case outcome.AlreadyDone(name, key):
                # Its stored result is not in what `begin` read. The next attempt reads it.
                self.interruption.leave(
                    Interrupted("StepDoneElsewhere", f"step {label((name, key))} was finished by another write")
                )


def _fenced(fence: Fence, attempt: int, why: str) -> str:
    told = why or (
        f"attempt {attempt} has taken over" if attempt > fence.attempt else "another process owns this attempt"
    )
    return f"attempt {fence.attempt} of run {fence.run_id} may not write any more: {told}"
