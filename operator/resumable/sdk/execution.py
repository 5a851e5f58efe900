"""One attempt from its input to its end: what becomes of each way in which a job's function can end."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resumable.sdk import codec
from resumable.sdk.annotations import result_type
from resumable.sdk.attempt import Attempt
from resumable.sdk.code_version import end_on_mismatch
from resumable.sdk.durations import readable
from resumable.sdk.errors import (
    ControlException,
    EncryptionKeyError,
    Fatal,
    Interrupted,
    InvalidInput,
    JobDefinitionError,
    Paused,
    Rewound,
    RunTimeout,
    StepFailed,
    UnstorableResult,
    VersionMismatch,
    Waiting,
)
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.interruption import STOPPED, STORE_UNAVAILABLE
from resumable.sdk.job import Job, JobDefinition
from resumable.sdk.missing_key import paused_without_key
from resumable.sdk.run_timeout import RUN_TIMEOUT, RunTimer
from resumable.sdk.step import StepCaller
from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import StepScope
from resumable.sdk.traces import author_trace, one_line
from resumable.sdk.undoing import UNDOING_BEGAN, begin_nothing_new, not_failed_again, undoing_began
from resumable.state.outcome import StoreError
from resumable.state.record import Encoded, RunStatus
from resumable.state.store import RunEnd

if TYPE_CHECKING:
    from resumable.sdk.in_loop import CallersLoop

log = logging.getLogger("resumable")

SIGNAL_RECEIVED = "SignalReceived"

# `sys.exit()` in a job ends its process but not its run: these codes would say something of the run that isn't so.
_TELLING = frozenset(ExitCode) - {ExitCode.FAILED}


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, for the process and for whoever started it."""

    exit_code: ExitCode
    cause: str
    message: str = ""
    value: Any = None
    result: Encoded | None = None
    error: BaseException | None = None

    @property
    def process_code(self) -> int:
        """The exit code, or one of the author's own that came by `sys.exit()`."""
        if isinstance(self.error, SystemExit) and isinstance(self.error.code, int) and self.error.code not in _TELLING:
            return self.error.code
        return self.exit_code


def execute(
    definition: JobDefinition[..., Any],
    attempt: Attempt,
    checkpoint_root: Path | None,
    loop: "CallersLoop | None" = None,
) -> Ending:
    """Run the job's function. Nothing but `KeyboardInterrupt` gets out.

    An async job's function runs in `loop`, or in a loop of its own in this thread; all around it is plain code, for
    which the loop does not wait.
    """
    _log_beginning(definition, attempt)
    attempt.kept_ms = definition.kept_ms
    attempt.payload.limit = definition.max_payload_bytes
    try:
        try:
            attempt.interruption.safe_point()
            try:
                return _execute(definition, attempt, checkpoint_root, loop)
            except EncryptionKeyError as error:  # no try would mend it
                raise paused_without_key(error) from error
        except (Waiting, Paused) as leaving:
            return _without_process(attempt, leaving)
    except Rewound as rewound:
        return _rewound(attempt, rewound)
    except ControlException as leaving:
        return left(leaving)
    except StoreError as error:
        log.error("%s", error)
        return Ending(ExitCode.FAILED, type(error).__name__, str(error), error=error)


def left(leaving: ControlException) -> Ending:
    """The ending of an attempt that had to leave."""
    cause = leaving.reason if isinstance(leaving, Interrupted) else type(leaving).__name__
    log.warning("%s", f"interrupted: {leaving}" if isinstance(leaving, Interrupted) else leaving)
    return Ending(leaving.exit_code, cause, str(leaving), error=leaving)


def _without_process(attempt: Attempt, leaving: Waiting | Paused) -> Ending:
    """The job has left to wait for something, or for a person. Written only now: `finally` blocks have run."""
    if leaving.end is not None:
        _save_before_leaving(attempt)
        if not attempt.end(leaving.end):
            what = "a signal came while it was leaving to wait for one"
            attempt.interruption.leave(Interrupted(SIGNAL_RECEIVED, what))
    log.log(logging.INFO if isinstance(leaving, Waiting) else logging.ERROR, "%s", leaving)
    cause = leaving.end.reason if leaving.end is not None else type(leaving).__name__
    return Ending(leaving.exit_code, cause, str(leaving), error=leaving)


def _execute(
    definition: JobDefinition[..., Any],
    attempt: Attempt,
    checkpoint_root: Path | None,
    loop: "CallersLoop | None",
) -> Ending:
    began = time.monotonic()
    codec.keyring()  # said before anything runs
    if attempt.payload.unreadable:
        raise attempt.payload.unreadable
    if end := end_on_mismatch(
        definition.on_version_mismatch, before=attempt.previous_code_version, now=definition.version
    ):
        return _refused(attempt, end)
    try:
        arguments = definition.inputs.bind(attempt.run.input)
    except (InvalidInput, JobDefinitionError) as error:
        cause = type(error).__name__
        log.error("%s", error)
        attempt.end(RunEnd(status=RunStatus.FAILED, reason=cause, message=str(error), error=str(error)))
        return Ending(ExitCode.FAILED_FOR_GOOD, cause, str(error), error=error)
    scope = StepScope(attempt, checkpoint_root)
    timer = RunTimer(attempt, definition.timeout)
    undoing = undoing_began(attempt)
    try:
        with timer:
            if undoing:
                begin_nothing_new(attempt)
            value, result = _call(definition, scope, arguments, loop)
    except (StepFailed, Fatal) as error:
        attempt.interruption.raise_if_left()
        return _failed_for_good(definition, scope, error, loop)
    except Interrupted as leaving:
        if leaving.reason not in (RUN_TIMEOUT, UNDOING_BEGAN):
            raise
        attempt.interruption.withdraw()
        return _failed_for_good(definition, scope, _left_with(timer, attempt), loop)
    except EncryptionKeyError:
        raise
    except (SystemExit, Exception) as error:  # noqa: BLE001 - whatever the author's code raises
        attempt.interruption.raise_if_left()  # it was asked to leave, and its code made another exception of that
        if isinstance(error, SystemExit):
            log.error("the job called sys.exit(%r) before it was done; return from its function instead", error.code)
        else:
            log.error("job %s failed\n%s", definition.name, author_trace(error))
        return Ending(ExitCode.FAILED, type(error).__name__, one_line(error), error=error)
    if undoing:
        return _failed_for_good(definition, scope, _left_with(timer, attempt), loop)
    attempt.end(RunEnd(status=RunStatus.SUCCEEDED, reason="Completed", result=result))
    log.info("job %s: done in %s", definition.name, readable(time.monotonic() - began))
    return Ending(ExitCode.DONE, "Completed", value=value, result=result)


def _left_with(timer: RunTimer, attempt: Attempt) -> StepFailed | Fatal | RunTimeout:
    return RunTimeout(timer.message) if timer.is_over else not_failed_again(attempt)


def _failed_for_good(
    definition: JobDefinition[..., Any],
    scope: StepScope,
    error: StepFailed | Fatal | RunTimeout,
    loop: "CallersLoop | None",
) -> Ending:
    cause, message = type(error).__name__, one_line(error) if isinstance(error, Fatal) else str(error)
    log.error("job %s failed for good\n%s", definition.name, author_trace(error))
    attempt = scope.attempt
    try:
        _undo(definition, scope, loop)
    except (SystemExit, Exception) as undoing:  # noqa: BLE001 - whatever the author's code raises
        attempt.interruption.raise_if_left()
        log.error(
            "job %s: undoing it failed; the next attempt goes on with that\n%s", definition.name, author_trace(undoing)
        )
        what = f"undoing what was done failed: {one_line(undoing)}; it is undone because {message}"
        return Ending(ExitCode.FAILED, type(undoing).__name__, what, error=undoing)
    _save_before_leaving(attempt)
    attempt.end(RunEnd(status=RunStatus.FAILED, reason=cause, message=message, error=message))
    return Ending(ExitCode.FAILED_FOR_GOOD, cause, message, error=error)


def _refused(attempt: Attempt, end: RunEnd) -> Ending:
    log.error("%s", end.message)
    attempt.end(end)
    code = ExitCode.FAILED_FOR_GOOD if end.status is RunStatus.FAILED else ExitCode.WAITING
    return Ending(code, end.reason, end.message, error=VersionMismatch(end.message))


def _undo(definition: JobDefinition[..., Any], scope: StepScope, loop: "CallersLoop | None") -> None:
    """Run what was registered, the newest first; what was done before is replayed."""
    if definition.is_async:
        from resumable.sdk.async_execution import run_undo

        run_undo(definition, scope, loop)
        return
    for step in scope.undo.steps():
        caller = StepCaller(scope, StepOptions(key=step.key, max_result_bytes=definition.max_result_bytes))
        caller.step(step.name, step.function, *step.args, **step.kwargs)


def _call(
    definition: JobDefinition[..., Any],
    scope: StepScope,
    arguments: dict[str, Any],
    loop: "CallersLoop | None",
) -> tuple[Any, Encoded]:
    attempt = scope.attempt
    try:
        if definition.is_async:
            from resumable.sdk.async_execution import run_function  # loads asyncio

            value = run_function(definition, scope, arguments, loop)
        else:
            value = definition.function(Job(definition.name, scope, definition.max_result_bytes), **arguments)
        attempt.interruption.raise_if_left()
        attempt.drift.tell_never_met()
    except Interrupted as leaving:
        if leaving.reason not in (STORE_UNAVAILABLE, STOPPED):  # else no write gets through
            _save_before_leaving(attempt)
        raise
    attempt.save_payload()
    annotation = result_type(definition.function)
    of = f"job {definition.name!r}: the result"
    return value, codec.encode(
        value, annotation, of=of, limit=definition.max_result_bytes, limit_name="max_result_bytes="
    )


def _save_before_leaving(attempt: Attempt) -> None:
    try:
        attempt.save_payload()
    except (UnstorableResult, StoreError) as error:
        log.error("%s", error)


def _rewound(attempt: Attempt, rewound: Rewound) -> Ending:
    log.error("%s; the run is paused until somebody has looked", rewound)
    try:
        attempt.pause_rewound(rewound)
    except StoreError as error:
        log.error("the run could not be paused: %s", error)
    return Ending(rewound.exit_code, "StateRewound", str(rewound), error=rewound)


def _log_beginning(definition: JobDefinition[..., Any], attempt: Attempt) -> None:
    done = len(attempt.done)
    before = f", {done} step{'s' if done != 1 else ''} done before" if attempt.fence.attempt > 1 else ""
    log.info("job %s: attempt %d of run %s%s", definition.name, attempt.fence.attempt, attempt.fence.run_id, before)
