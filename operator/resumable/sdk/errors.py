"""What the SDK raises.

Control exceptions (`Interrupted`, `Waiting`, `Paused`, `Fenced`, `Rewound`) derive from `BaseException`, so that an
`except Exception` in a job can't swallow them. They are no failures of the job: it is being asked to leave. Let them
pass; `finally` blocks run as always.
"""

from typing import TYPE_CHECKING

from resumable.sdk.exit_codes import ExitCode

if TYPE_CHECKING:
    from resumable.state.record import Encoded
    from resumable.state.store import RunEnd


class ControlException(BaseException):
    """Base of what makes a job leave without having failed. Never raised itself."""

    exit_code = ExitCode.INTERRUPTED


class Interrupted(ControlException):
    """The attempt has to leave (SIGTERM, a stop that somebody asked for, a store that stays away). The next one goes
    on from what was saved.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


class Fenced(ControlException):
    """Another attempt, or another process of this one, owns the run. Nothing that this process does is stored any
    more.
    """

    exit_code = ExitCode.FENCED


class CursorMoved(ControlException):
    """The author's database has another cursor than the step goes by: the step begins once more, from that one."""

    def __init__(self, value: "Encoded | None") -> None:
        super().__init__("the step's cursor in its own database is another one")
        self.value = value


class StepCutOff(ControlException):
    """Raised in the thread of a step whose time is over, when it saves or reaches a safe point: the job went on without
    it.
    """


class Rewound(ControlException):
    """The store went back in time: a write that it had acknowledged is gone. The run is paused until a person has
    looked.
    """


class Waiting(ControlException):
    """The run waits, for a signal or for a moment, and needs no process meanwhile.

    `end` is how the run is to be ended, unless that is written already.
    """

    exit_code = ExitCode.WAITING

    def __init__(self, message: str, *, end: "RunEnd | None" = None) -> None:
        super().__init__(message)
        self.end = end


class Paused(ControlException):
    """The run is paused until a person acts. `end` is how that is written, when the job's function has been left."""

    exit_code = ExitCode.WAITING

    def __init__(self, message: str, *, end: "RunEnd") -> None:
        super().__init__(message)
        self.end = end


class ResumableError(Exception):
    """Base of the errors that an author can make or meet. The message says what was wrong, where, and what to do."""


class JobDefinitionError(ResumableError):
    """The decorated function can't be a job: the message names the parameter."""


class InvalidInput(ResumableError):
    """The input doesn't fit the job's parameters. Trying again would not help: the run fails at once."""


class DuplicateStep(ResumableError):
    """A step's name was met twice in one attempt without a key that tells the two apart."""


class InvalidStep(ResumableError):
    """A step's name, key or function can't be used."""


class StepNotAwaited(ResumableError):
    """An async job's function returned before its steps had: the message names them."""


class EventLoopRunning(ResumableError):
    """An async job was to be run, and waited for, in a thread whose event loop would stand still meanwhile."""


class VersionMismatch(ResumableError):
    """The steps were stored by another version of the code, and `@job(on_version_mismatch=…)` says not to go on."""


class StepFailed(ResumableError):
    """A step failed for good: its retry policy is spent, or it raised `Fatal`. Later attempts don't run it again.

    `step` is its label (`ship[4711]`), `error` what it raised, in one line; `__cause__` is the exception itself in the
    attempt in which it was raised. A job that doesn't catch it fails for good.
    """

    def __init__(self, step: str, error: str) -> None:
        super().__init__(f"step {step} failed for good: {error}")
        self.step = step
        self.error = error


class Fatal(Exception):
    """Raised by a step: trying again would not help, whatever its retry policy says.

    ```python
    def charge(card: Card) -> str:
        if card.expired:
            raise Fatal(f"card {card.number} has expired")
    ```
    """


class RunTimeout(ResumableError):
    """The run took longer than its job's `timeout`."""


class StepTimeout(TimeoutError):
    """A step took longer than its `timeout`. A retry policy sees it as any other error."""


class ResultExpired(ResumableError):
    """A step is done, but its result was kept only for a time (`keep=`), and `on_expired="fail"` was said."""


class WaitTimeout(ResumableError):
    """No signal came within the wait's `timeout`. Stored: later attempts raise it again."""


class UnstorableResult(ResumableError):
    """A value can't be stored, or would come back as something else: the message names the step, the type and the
    limit.
    """


class UnreadableResult(ResumableError):
    """A stored value doesn't fit the annotation that the code has now."""


class EncryptionKeyError(UnreadableResult):
    """A stored value is encrypted with a key that isn't in `RESUMABLE_ENCRYPTION_KEYS`, or that list is wrong. The run
    is paused until the key is there; what is stored stays as it is.
    """


class CheckpointDamaged(ResumableError):
    """The files of a published checkpoint are missing or are not what was written: the message names the file."""


class CheckpointsNotConfigured(ResumableError):
    """There is no place for checkpoint files."""


class RunIsBusy(ResumableError):
    """Another process is running the run."""


class RunNotFound(ResumableError):
    """There is no run with this id: the message says which there are."""


class RunFailed(ResumableError):
    """The run whose result was asked for is over, and failed or was cancelled.

    `status` is "Failed" or "Cancelled", `reason` one CamelCase word, `error` what the job raised, in one line.
    """

    def __init__(self, run_id: str, status: str, reason: str, error: str) -> None:
        super().__init__(f"run {run_id!r} {'was cancelled' if status == 'Cancelled' else 'failed'} ({reason}): {error}")
        self.run_id = run_id
        self.status = status
        self.reason = reason
        self.error = error


class RunNotRunnable(ResumableError):
    """The run is over, or paused until a person acts: the message says which and what to do."""
