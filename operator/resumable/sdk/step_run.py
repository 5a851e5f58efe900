"""One call of a step, in phases. They decide what happens and store it; they call no step and wait for nothing.

A driver goes through them in its own style: `StepCaller` for plain jobs, another one for async jobs.

    run = StepRun(scope, options, name, fn)
    if replayed := run.enter():
        return replayed.value
    while True:
        wait run.pause() seconds
        if isinstance(begun := run.begin(args), Replayed): return begun.value
        try:
            result = fn(*begun, **kwargs)
        except BaseException as error:
            run.failed(error)             # raises, unless it is worth another try
        else:
            return run.finished(result)

`enter` never writes, the others may: an async driver calls those where a write doesn't block its loop.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from resumable.sdk import codec
from resumable.sdk.attempt import Attempt
from resumable.sdk.compensation import Undo
from resumable.sdk.context import StepContext
from resumable.sdk.drift import label
from resumable.sdk.durations import duration, milliseconds, readable
from resumable.sdk.effects import AT_MOST_ONCE, UNKNOWN_EFFECT, left_unknown, question
from resumable.sdk.errors import (
    ControlException,
    CursorMoved,
    EncryptionKeyError,
    InvalidStep,
    Paused,
    ResultExpired,
    StepFailed,
    StepTimeout,
    Waiting,
)
from resumable.sdk.missing_key import paused_without_key
from resumable.sdk.retention import retention
from resumable.sdk.retry import DEFAULT_HOLD, AskPerson, GiveUp, PassOn, TryAgain, verdict
from resumable.sdk.running_step import RunningStep, trying
from resumable.sdk.step_function import shape
from resumable.sdk.step_options import StepOptions, check_name
from resumable.sdk.traces import one_line
from resumable.state.record import COMPENSATE, Encoded, RunStatus, Step, StepStatus
from resumable.state.store import RunEnd

log = logging.getLogger("resumable")

R = TypeVar("R")

RETRY_BACK_OFF = "RetryBackOff"
STEP_FAILED = "StepFailed"

_LONGEST_ERROR = 2000
_WORTH_A_LINE_MS = 1000


@dataclass(frozen=True, slots=True)
class StepScope:
    """What all steps of one attempt share."""

    attempt: Attempt
    checkpoint_root: Path | None = None
    undo: Undo = field(default_factory=Undo)


class Replayed(msgspec.Struct, frozen=True):
    """The step is not run: this is its result."""

    value: Any


class StepRun:
    """One call of one step. Raises `InvalidStep` for a name or a function that can't be one."""

    def __init__(self, scope: StepScope, options: StepOptions, name: str, fn: Callable[..., Any]) -> None:
        _check(name, fn)
        if options.compensate is not None:
            check_name(f"{COMPENSATE}{name}")  # the step that undoes it
        self.name = name
        self.options = options
        self._fn = fn
        self.shape = shape(fn)
        self._scope = scope
        self._attempt = scope.attempt
        self._running: RunningStep
        self._context: StepContext[Any] | None = None
        self._failures = 0  # over all attempts
        self._error = ""  # the last one
        self._next_try: float | None = None  # monotonic seconds
        self._expired = False  # it was done, and its result is kept no longer
        self._unknown = ""  # why nobody knows whether it took effect

    @property
    def label(self) -> str:
        """As people read it: `ship[4711]`."""
        return label((self.name, self.options.key))

    @property
    def context(self) -> StepContext[Any] | None:
        """What the function of the try that has begun gets, if it wants one: the first of its arguments."""
        return self._context

    def enter(self) -> Replayed | None:
        """Meet the step; what an earlier attempt stored is its result. The way in is a safe point.

        Raises `DuplicateStep`, `UnreadableResult`, `ResultExpired`, and `StepFailed` when it failed for good.
        """
        attempt = self._attempt
        self._running = attempt.enter(self.name, self.options.key, renamed_from=self.options.renamed_from)
        stored = attempt.done.get((self.name, self.options.key))
        replayed = None if stored is None else self._replayed(stored)  # a job that leaves here may have to undo it
        attempt.interruption.safe_point()
        if replayed is None:
            self._no_longer_kept(attempt.expired.get((self.name, self.options.key)))
            self._unfinished(attempt.unfinished.get((self.name, self.options.key)))
        return replayed

    def _replayed(self, stored: Step) -> Replayed:
        result = None
        if stored.result is not None:
            try:
                result = codec.decode(
                    stored.result, self.shape.result, of=self._of_result, pickled=self.options.pickled
                )
            except EncryptionKeyError as error:
                self._attempt.interruption.leave_branch(paused_without_key(error))
        self._register_undo(result)
        return Replayed(result)

    def pause(self) -> float:
        """Before a try: the seconds that the driver has to wait, with safe points in between.

        Raises `Waiting` when that is longer than a process should be kept for.
        """
        if self._next_try is None:
            return 0.0
        seconds = self._next_try - time.monotonic()
        hold = self._attempt.hold(duration(self.options.retry.hold if self.options.retry else DEFAULT_HOLD))
        if seconds > hold.total_seconds():
            self._wait_without_a_process(seconds)
        return max(0.0, seconds)

    @property
    def begin_writes(self) -> bool:
        """Whether `begin` calls the store. If not, an async driver needs no thread for it."""
        return self.options.effect == AT_MOST_ONCE or self._expired

    def begin(self, args: tuple[Any, ...]) -> tuple[Any, ...] | Replayed:
        """A try begins: the arguments to call the function with, or what an unknown effect leads to."""
        function = self.shape
        if function.mistake:
            raise InvalidStep(f"step {self.label!r}: {self._fn!r:.80}: {function.mistake}")
        running = self._running
        if self._expired:
            log.info("step %s: runs again, its result was kept no longer", running.label)
            self._attempt.forget_step(self.name, self.options.key)  # else the store keeps it as done
            self._expired = False
        if self.options.effect == AT_MOST_ONCE:
            if self._unknown and self.options.on_unknown != "retry":
                return self._without_running()
            self._attempt.start_step(running, effect=AT_MOST_ONCE)
        running.began = time.monotonic()  # it may have waited since it was met
        self._context = None
        if function.takes_context:
            self._context = StepContext(self._attempt, running, function.cursor, self._scope.checkpoint_root)
            args = (self._context, *args)
        _log_beginning(running, self._context)
        self._attempt.show(running)
        return args

    def finished(self, result: Any) -> Any:
        """The function returned: its result is stored, and is the step's. Raises `UnstorableResult`."""
        attempt, running = self._attempt, self._running
        try:
            attempt.interruption.raise_if_left()
            encoded = codec.encode(
                result,
                self.shape.result,
                of=self._of_result,
                limit=self.options.max_result_bytes,
                limit_name="max_result_bytes=",
                pickled=self.options.pickled,
            )
            keep = retention(self.options.keep, result, of=f"step {running.label!r}: ")
            attempt.payload.changed()  # here, where a payload that can't be stored still fails the step
        except BaseException as error:
            self.failed(error, returned=True)
            raise
        attempt.hide(running)
        attempt.finish_step(running, result=encoded, keep=keep)
        in_a_fast_loop = running.key and running.running_ms < _WORTH_A_LINE_MS
        level = logging.DEBUG if in_a_fast_loop else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "step %s: done in %s", running.label, readable(running.running_ms / 1000))
        if self._context is not None:
            self._context._close()
        self._register_undo(result)
        return result

    def failed(self, error: BaseException, *, returned: bool = False) -> None:
        """The function raised: the failure is stored. Returns when it is to be tried again, else raises.

        What it raises: the error itself when there is no policy, `StepFailed` when it is given up for good, `Paused`. A
        job that leaves has not failed: its control exception passes on. `returned`: the function has done its work, and
        what came after it failed: no policy has it done once more.
        """
        attempt, running = self._attempt, self._running
        attempt.hide(running)
        if isinstance(error, CursorMoved):
            self._begin_again(error.value)
            return
        if isinstance(error, (ControlException, KeyboardInterrupt, GeneratorExit)):
            raise error
        attempt.interruption.raise_if_left()  # it was asked to leave and said so with an exception of its own
        text = one_line(error)
        if isinstance(error, StepTimeout) and self.begin_writes and self.options.on_unknown != "retry":
            self._unknown = str(error)  # its record stays Started: that is all that is known
            self._running = running.again()
            return
        log.error("step %s: failed after %s: %s", running.label, readable(running.running_ms / 1000), text)
        self._failures += 1
        decided = PassOn() if returned else verdict(self.options.retry, error, self._failures)
        if isinstance(decided, PassOn) and self._repeats_only_what_its_policy_names:
            raise error  # its record stays Started: else the next attempt would take the failure for one that is named
        after = decided.after if isinstance(decided, TryAgain) else None
        final = isinstance(decided, GiveUp)
        attempt.finish_step(running, error=text[:_LONGEST_ERROR], final=final, retry_after=after)
        match decided:
            case TryAgain(wait):
                log.info("step %s: is tried again in %s", running.label, readable(wait.total_seconds()))
                self._error = text
                self._next_try = time.monotonic() + wait.total_seconds()
                self._running = running.again()
            case GiveUp(why):
                log.error("step %s: given up for good: %s", running.label, why)
                raise StepFailed(running.label, text) from error
            case AskPerson():
                self._ask_person(text)
            case PassOn():
                raise error

    def abandon(self) -> None:
        """Its task was cancelled: the function has not failed, and nothing is stored."""
        self._attempt.hide(self._running)

    def _begin_again(self, cursor: Encoded | None) -> None:
        """The author's own database has another cursor than ours: a process was killed between the two."""
        running = self._running
        known = self._attempt.cursors.get((running.name, running.key))
        log.warning("step %s: begins again, from the cursor that its own database has", running.label)
        self._attempt.save_cursor(running, cursor, known.checkpoint if known else "")
        self._running = running.again()

    def timed_out(self) -> StepTimeout:
        """Its time is over: whatever still runs of it is cut off. Returns what it failed with."""
        attempt, running = self._attempt, self._running
        attempt.hide(running)
        attempt.cut_off(running)
        self._running = running.again()
        self._running.began = running.began
        attempt.show(self._running)  # until its failure is stored
        limit = self.options.timeout or timedelta(0)
        return StepTimeout(f"step {running.label} did not end within {readable(limit.total_seconds())}")

    def cut_off_with(self, call: Callable[[], R]) -> Callable[[], R]:
        """The call, so that nothing it does in the SDK is stored once its time is over."""
        running = self._running

        def within() -> R:
            trying.set(running)
            return call()

        return within

    def _without_running(self) -> Replayed:
        running = self._running
        if self.options.on_unknown != "skip":
            message = question(self._attempt.run.name, self.name, self.options.key, self._unknown)
            end = RunEnd(status=RunStatus.PAUSED, reason=UNKNOWN_EFFECT, message=message, error=message)
            self._attempt.interruption.leave_branch(Paused(message, end=end))
        log.warning("step %s: whether it took effect is unknown (%s): skipped", running.label, self._unknown)
        running.progress_message = f"skipped, its effect is unknown: {self._unknown}"
        self._attempt.save_cursor(running, None, "")  # the write that shows why
        self._attempt.finish_step(running)
        self._register_undo(None)  # as when it is replayed
        return Replayed(None)

    def _no_longer_kept(self, stored: Step | None) -> None:
        if stored is None:
            return
        if self.options.on_expired == "fail":
            when = f" until {stored.expires:%Y-%m-%d %H:%M:%S} UTC" if stored.expires else " for a time"
            raise ResultExpired(
                f"step {self._running.label} is done, but its result was kept only{when}; keep it longer (keep=),"
                " or let the step run again (on_expired='run')"
            )
        self._expired = True

    def _register_undo(self, result: Any) -> None:
        if self.options.compensate is not None:
            self._scope.undo.of_step(self.name, self.options.key, self.options.compensate, result)

    def _unfinished(self, stored: Step | None) -> None:
        """What an earlier attempt left of a step that it did not finish."""
        if stored is None:
            return
        self._failures = stored.failures
        if self.options.effect == AT_MOST_ONCE:
            self._unknown = left_unknown(stored, self.options.retry)
        if stored.status is not StepStatus.FAILED:
            return
        if stored.final:
            raise StepFailed(self._running.label, stored.error)
        now = self._attempt.now()
        if stored.retry_at is not None and now is not None and self.options.retry is not None:
            self._error = stored.error
            self._next_try = time.monotonic() + (stored.retry_at - now).total_seconds()

    def _wait_without_a_process(self, seconds: float) -> NoReturn:
        tries = self.options.retry.max_attempts if self.options.retry else None
        of = f" of {tries}" if tries is not None else ""
        message = f"step {self._running.label}: try {self._failures}{of} failed: {self._error}"
        after = milliseconds(timedelta(seconds=seconds))
        end = RunEnd(status=RunStatus.WAITING, reason=RETRY_BACK_OFF, message=message, wake_after_ms=after)
        self._attempt.interruption.leave_branch(Waiting(message, end=end))

    def _ask_person(self, error: str) -> NoReturn:
        message = (
            f"step {self._running.label} failed: {error}; it waits for a person: put right what was wrong and unpause"
            " the run, then the step runs again"
        )
        end = RunEnd(status=RunStatus.PAUSED, reason=STEP_FAILED, message=message, error=error)
        self._attempt.interruption.leave_branch(Paused(message, end=end))

    @property
    def _repeats_only_what_its_policy_names(self) -> bool:
        options = self.options
        return options.effect == AT_MOST_ONCE and options.retry is not None and options.on_unknown != "retry"

    @property
    def _of_result(self) -> str:
        return f"step {self.label!r}: the result"


def _check(name: str, fn: Callable[..., Any]) -> None:
    check_name(name)
    if not callable(fn):
        raise InvalidStep(
            f"step {name!r}: {fn!r:.80} is not a function; give the function and its arguments, not what it returns"
        )


def _log_beginning(running: RunningStep, context: StepContext[Any] | None) -> None:
    if context is not None and context.cursor is not None:
        log.info("step %s: goes on from cursor %.100r", running.label, context.cursor)
    else:
        log.debug("step %s: begins", running.label)
