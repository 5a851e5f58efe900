"""A wait as an object of phases, as `step_run` is one for a step: for a signal, or for a moment.

A driver goes through them in its own style: `Waits` for plain jobs, another one for async jobs.

    if replayed := wait.enter():
        return replayed.value
    wait.begin()
    while (found := wait.look()) is None:
        seconds = wait.patience()
        if seconds is None:
            wait.leave()                  # or gathers wait.waiting() of several that wait at the same time
        else:
            sleep seconds, with safe points
    return found.value

`enter` never writes, the others may.
"""

import logging
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from resumable.sdk import codec
from resumable.sdk.annotations import readable_type
from resumable.sdk.attempt import Attempt
from resumable.sdk.durations import checked_duration, duration, readable
from resumable.sdk.errors import EncryptionKeyError, InvalidStep, UnreadableResult, Waiting, WaitTimeout
from resumable.sdk.running_step import RunningStep
from resumable.sdk.step_options import StepOptions, check_name
from resumable.sdk.step_run import Replayed
from resumable.state.record import Encoded, RunStatus, Signal
from resumable.state.store import RunEnd

log = logging.getLogger("resumable")

T = TypeVar("T")

DEFAULT_HOLD = "10s"
SIGNAL_WAIT = "SignalWait"
TIMER_WAIT = "TimerWait"

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0  # between two looks; a signal is noticed so much later


@dataclass(frozen=True, slots=True)
class Received(Generic[T]):
    """A signal that a wait has taken."""

    payload: T
    sender: str  # as the store was told; "" when nobody was named
    sent: datetime  # by the store's clock
    id: str


class _Ended(msgspec.Struct, omit_defaults=True):
    """A wait's end as its step's result."""

    payload: msgspec.Raw = msgspec.Raw(b"null")
    sender: str = ""
    sent: datetime | None = None
    id: str = ""
    timed_out: bool = False


class Wait(ABC):
    """The phases that a wait for a signal and one for a moment share."""

    reason: ClassVar[str]

    def __init__(
        self, attempt: Attempt, options: StepOptions, name: str, *, hold: str | timedelta = DEFAULT_HOLD
    ) -> None:
        check_name(name)
        _check_options(name, options)
        self.name = name
        self._attempt = attempt
        self._options = options
        self._hold = attempt.hold(_length(hold, f"step {name!r}: hold="))
        self._held_until = 0.0
        self._pause = _FIRST_PAUSE
        self._running: RunningStep
        self._deadline: datetime | None = None
        self._deadline_after: timedelta | None = None
        self._now: datetime  # the store's clock, at the last look
        self._now_at = 0.0
        self._know_the_signals = False

    def enter(self) -> Replayed | None:
        """Meet the wait; how it ended in an earlier attempt is how it ends. The way in is a safe point."""
        attempt, options = self._attempt, self._options
        self._running = attempt.enter(self.name, options.key, renamed_from=options.renamed_from)
        attempt.interruption.safe_point()
        stored = attempt.done.get((self.name, options.key))
        return None if stored is None else self._replayed(stored.result)

    def begin(self) -> None:
        """Put the start on record. The deadline counts from the first one."""
        known = self._attempt.unfinished.get((self.name, self._options.key))
        if known is not None and known.deadline is not None:  # also when it was started under another name
            self._deadline, self._deadline_after = known.deadline, None
        started = self._attempt.start_step(self._running, deadline_after=self._deadline_after, deadline=self._deadline)
        self._deadline = started.deadline
        self._at(started.now)
        self._held_until = time.monotonic() + self._hold.total_seconds()
        self._know_the_signals = self._attempt.signals.signal_seq == started.signal_seq

    @abstractmethod
    def look(self) -> Replayed | None:
        """Whether it is over; if so that is stored."""

    def patience(self) -> float | None:
        """How many seconds to wait before the next look; None: no process is worth keeping for it."""
        held = self._held_until - time.monotonic()
        remaining = self._remaining()
        worth_staying = remaining is not None and remaining <= self._hold.total_seconds()
        if held <= 0 and not worth_staying:
            return None
        limits = [self._pause]
        if held > 0:
            limits.append(held)
        if remaining is not None:
            limits.append(remaining)
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        return max(0.001, min(limits))

    def waiting(self) -> Waiting:
        """Leaves the process: how the run is to be ended then."""
        message = self._message()
        return Waiting(message, end=self._end(message))

    def leave(self) -> None:
        """Leave the process, if nothing has come meanwhile. Raises `Waiting`; returns when it has to look again."""
        attempt = self._attempt
        if attempt.interruption.in_branch:  # the others have not come to their end
            attempt.interruption.leave_branch(self.waiting())
        attempt.save_payload()
        message = self._message()
        if attempt.end(self._end(message)):
            attempt.interruption.leave(Waiting(message))

    def _end(self, message: str) -> RunEnd:
        return RunEnd(status=RunStatus.WAITING, reason=self.reason, message=message, wake_at=self._deadline)

    @abstractmethod
    def _message(self) -> str:
        """What is waited for, for people."""

    @abstractmethod
    def _replayed(self, result: Encoded | None) -> Replayed:
        """The stored end."""

    def _at(self, now: datetime) -> None:
        self._now, self._now_at = now, time.monotonic()

    def _remaining(self) -> float | None:
        """Seconds until the deadline, by the store's clock as it was at the last look."""
        if self._deadline is None:
            return None
        return (self._deadline - self._now).total_seconds() - (time.monotonic() - self._now_at)

    @property
    def _until(self) -> str:
        return f" until {self._deadline:%Y-%m-%d %H:%M:%S} UTC" if self._deadline else ""


class SignalWait(Wait):
    """A wait for a signal of its name."""

    reason = SIGNAL_WAIT

    def __init__(
        self,
        attempt: Attempt,
        options: StepOptions,
        name: str,
        kind: Any,
        *,
        timeout: str | timedelta | None = None,
        hold: str | timedelta = DEFAULT_HOLD,
    ) -> None:
        super().__init__(attempt, options, name, hold=hold)
        self._kind = kind
        self._timeout = timeout
        self._deadline_after = None if timeout is None else _length(timeout, f"step {name!r}: timeout=")
        self._refused: set[str] = set()
        self._looked_at = -1  # how many signals there were: another wait of the same attempt may know of later ones

    def look(self) -> Replayed | None:
        attempt = self._attempt
        while True:
            if not self._know_the_signals:
                attempt.signals = attempt.read_signals()
                self._at(attempt.signals.now)
            self._know_the_signals = False  # the next look reads them again
            known = attempt.signals
            self._looked_at = known.signal_seq
            if found := self._first_that_fits(known.signals):
                signal, payload = found
                if self._take(signal):
                    return Replayed(Received(payload, signal.sender, signal.sent, signal.id))
            elif self._deadline is None or self._now < self._deadline:
                return None
            elif self._give_up(known.signal_seq):
                raise self._timed_out()

    def _first_that_fits(self, signals: tuple[Signal, ...]) -> tuple[Signal, Any] | None:
        for signal in signals:
            if signal.name == self.name:
                encoded = signal.payload or Encoded(codec.JSON, b"null")
                try:
                    return signal, codec.decode(encoded, self._kind, of="its payload")
                except EncryptionKeyError:
                    raise
                except UnreadableResult as error:
                    self._refuse(signal, error.__cause__ or error)
        return None

    def _refuse(self, signal: Signal, error: BaseException) -> None:
        """A sender's mistake is no failure of the job: the signal stays, and the wait goes on for one that fits."""
        if signal.id not in self._refused:
            self._refused.add(signal.id)
            log.error("step %s: %s", self._running.label, self._refusal(signal, error))

    def _refusal(self, signal: Signal, error: BaseException) -> str:
        sender = f" from {signal.sender}" if signal.sender else ""
        return (
            f"the payload of signal {signal.id}{sender} does not fit {readable_type(self._kind)}:"
            f" {' '.join(str(error).split())}; it is not taken: send another one, with another id"
        )

    def _take(self, signal: Signal) -> bool:
        payload = msgspec.Raw(codec.json_of(signal.payload, of="its payload") if signal.payload else b"null")
        ended = _Ended(payload=payload, sender=signal.sender, sent=signal.sent, id=signal.id)
        attempt = self._attempt
        if not attempt.finish_step(self._running, result=codec.encode_unchecked(ended), consumes=signal.id):
            return False
        left = tuple(each for each in attempt.signals.signals if each.id != signal.id)
        attempt.signals = msgspec.structs.replace(attempt.signals, signals=left)
        log.info("step %s: signal %s has come%s", self._running.label, signal.id, _from(signal))
        return True

    def _give_up(self, signal_seq: int) -> bool:
        ended = codec.encode_unchecked(_Ended(timed_out=True))
        return self._attempt.finish_step(self._running, result=ended, signal_seq=signal_seq)

    def _timed_out(self) -> WaitTimeout:
        within = "" if self._timeout is None else f" within {readable(duration(self._timeout).total_seconds())}"
        return WaitTimeout(f"step {self._running.label}: no signal {self.name!r} came{within}")

    def _end(self, message: str) -> RunEnd:
        end = super()._end(message)
        return msgspec.structs.replace(end, wake_on=(self.name,), signal_seq=self._looked_at)

    def _message(self) -> str:
        refused = f" ({len(self._refused)} came whose payload does not fit)" if self._refused else ""
        return f"step {self._running.label} waits for the signal {self.name!r}{self._until}{refused}"

    def _replayed(self, result: Encoded | None) -> Replayed:
        of = f"step {self._running.label!r}: the signal"
        ended: _Ended = codec.decode(result or Encoded(codec.JSON, b"{}"), _Ended, of=of)
        if ended.timed_out:
            raise self._timed_out()
        payload = codec.decode(Encoded(codec.JSON, bytes(ended.payload)), self._kind, of=of)
        return Replayed(Received(payload, ended.sender, ended.sent or self._attempt.run.created, ended.id))


class Timer(Wait):
    """A wait for a moment: so much later than its first start, or a given one."""

    reason = TIMER_WAIT

    def __init__(
        self,
        attempt: Attempt,
        options: StepOptions,
        name: str,
        until: str | timedelta | datetime,
        *,
        hold: str | timedelta = DEFAULT_HOLD,
    ) -> None:
        super().__init__(attempt, options, name, hold=hold)
        if not isinstance(until, datetime):
            self._deadline_after = _length(until, f"step {name!r}: the duration")
        elif until.tzinfo is None:
            raise InvalidStep(f"step {name!r}: the moment {until} says no time zone; write datetime(…, tzinfo=UTC)")
        else:
            self._deadline = until
        self._know_the_time = True

    def look(self) -> Replayed | None:
        if not self._know_the_time:
            self._at(self._attempt.read_signals().now)
        self._know_the_time = False
        if self._deadline is not None and self._now < self._deadline:
            return None
        self._attempt.finish_step(self._running)
        return Replayed(None)

    def patience(self) -> float | None:
        """All of what is left, or nothing: nothing else can come."""
        remaining = self._remaining() or 0.0
        return None if remaining > self._hold.total_seconds() else max(0.001, remaining)

    def _message(self) -> str:
        return f"step {self._running.label} sleeps{self._until}"

    def _replayed(self, result: Encoded | None) -> Replayed:  # noqa: ARG002
        return Replayed(None)


def _check_options(name: str, options: StepOptions) -> None:
    """A step's other options say what becomes of a function's call, and a wait calls none."""
    plain = StepOptions(key=options.key, renamed_from=options.renamed_from, max_result_bytes=options.max_result_bytes)
    meant = [field.name for field in fields(options) if getattr(options, field.name) != getattr(plain, field.name)]
    if meant:
        raise InvalidStep(
            f"step {name!r}: a wait or a sleep takes the options key= and renamed_from=, not {meant[0]}="
            + (" (give timeout= to wait itself)" if meant[0] == "timeout" else "")
        )


def _from(signal: Signal) -> str:
    return f" from {signal.sender}" if signal.sender else ""


def _length(value: str | timedelta, of: str) -> timedelta:
    return checked_duration(value, of, raises=InvalidStep, or_zero=True)
