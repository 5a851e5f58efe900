"""A run as `Client` shows it: what the store has of it at one moment, without what is the worker's business."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resumable.sdk import codec
from resumable.sdk.local_run import NAMESPACE
from resumable.state.record import Attempt, Encoded, Run, RunStatus, RunView, Step, StepStatus


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A run as it was read. Times are UTC, by the store's clock."""

    id: str
    name: str  # of the job; on a cluster, of the ResumableJob
    namespace: str  # "local": no operator looks after it
    status: RunStatus
    reason: str  # one CamelCase word, or ""
    message: str
    error: str  # of a failed run: what the job raised
    attempt: int  # 0: none was started yet
    generation: int  # how often it was restarted, from 1
    waits_for: tuple[str, ...]  # of a waiting run: the signals that let it go on
    wakes_at: datetime | None  # of a waiting run: when it goes on without one
    forked_from: str  # the run whose steps this one began with, or ""
    created: datetime
    started: datetime | None
    updated: datetime
    finished: datetime | None
    _input: Encoded | None
    _payload: Encoded | None

    @property
    def input(self) -> Any:
        """The job's arguments as plain JSON; None: none were given. Raises `UnreadableResult`."""
        return _plain(self._input, f"run {self.id!r}: the input")

    @property
    def payload(self) -> Any:
        """What its steps share, as plain JSON. Raises `UnreadableResult`."""
        return _plain(self._payload, f"run {self.id!r}: the payload")

    @property
    def over(self) -> bool:
        """Whether it succeeded, failed or was cancelled."""
        return self.status.terminal


@dataclass(frozen=True)
class Progress:
    """How far a step says that it is (`step.progress`)."""

    step: str  # its label: `ship[4711]`
    current: float
    total: float | None
    message: str

    @property
    def percent(self) -> float | None:
        """None: there is no total."""
        return 100 * self.current / self.total if self.total else None


@dataclass(frozen=True, kw_only=True)
class RunDetails(RunInfo):
    """A run with its steps and its attempts."""

    attempts: tuple[Attempt, ...]  # the oldest first
    steps: tuple[Step, ...]  # by ordinal; of more than were asked for the failed, the running and the newest
    steps_done: int  # of all its steps
    steps_total: int  # that were met so far
    last_saved: datetime | None

    @property
    def running(self) -> tuple[Step, ...]:
        """The steps under way; those that a killed process left are none."""
        if self.status is not RunStatus.RUNNING:
            return ()
        return tuple(step for step in self.steps if step.status is StepStatus.STARTED and step.attempt == self.attempt)

    @property
    def progress(self) -> Progress | None:
        """Of the newest running step that tells it."""
        for step in reversed(self.running):
            if step.progress_current is not None:
                return Progress(label(step), step.progress_current, step.progress_total, step.progress_message)
        return None


def label(step: Step) -> str:
    """`name`, or `name[key]`."""
    return f"{step.name}[{step.key}]" if step.key else step.name


def info(run: Run) -> RunInfo:
    """The run as it is shown."""
    return RunInfo(**_fields(run))


def details(view: RunView) -> RunDetails:
    """The view as it is shown."""
    return RunDetails(
        **_fields(view.run),
        attempts=view.attempts,
        steps=view.steps,
        steps_done=view.steps_done,
        steps_total=view.steps_total,
        last_saved=view.last_saved,
    )


def live_attempt(view: RunView) -> Attempt | None:
    """The current attempt, unless it said how it ended. Its process runs, or it died without a word."""
    current = next((each for each in view.attempts if each.number == view.run.attempt), None)
    if view.run.status not in (RunStatus.PENDING, RunStatus.RUNNING) or current is None:
        return None
    return None if current.ended or current.written_end else current


def is_operated(view: RunView) -> bool:
    """Whether an operator looks after the run: it starts its attempts, and counts how they end."""
    return view.run.namespace != NAMESPACE or any(attempt.pod_uid for attempt in view.attempts)


def standing(run: Run) -> str:
    """Where it is, in half a sentence: "run 'x' is Waiting for the signal 'approval', attempt 2"."""
    signals = f" for the signal {' or '.join(map(repr, run.wake_on))}" if run.wake_on else ""
    until = f" until {run.wake_at:%Y-%m-%d %H:%M:%S} UTC" if run.wake_at else ""
    waits = f"{signals}{until}" if run.status is RunStatus.WAITING else ""
    why = f" ({': '.join(filter(None, (run.reason, run.message)))})" if run.reason and not waits else ""
    return f"run {run.id!r} is {run.status}{waits}{why}, attempt {run.attempt}"


def _fields(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "namespace": run.namespace,
        "status": run.status,
        "reason": run.reason,
        "message": run.message,
        "error": run.error,
        "attempt": run.attempt,
        "generation": run.generation,
        "waits_for": run.wake_on,
        "wakes_at": run.wake_at,
        "forked_from": run.forked_from,
        "created": run.created,
        "started": run.started,
        "updated": run.updated,
        "finished": run.finished,
        "_input": run.input,
        "_payload": run.payload,
    }


def _plain(value: Encoded | None, of: str) -> Any:
    return None if value is None else codec.decode(value, Any, of=of)
