"""One case: a run from its first attempt to its end, disturbed once or not at all.

What elsewhere the controller does (counting ends, waking, minting the next attempt) is done here.
"""

import contextvars
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from resumable.sdk.drift import label
from resumable.sdk.errors import ResumableError
from resumable.sdk.execution import Ending, execute
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.job import JobDefinition
from resumable.sdk.local_run import NAMESPACE, claim_run, count
from resumable.state.record import Encoded, Fence, Run, RunStatus
from resumable.state.store import NewRun, NewSignal, Store, WorkerStore
from resumable.testing.clock import StoreClock
from resumable.testing.life import Life, WatchedAttempt, WatchedStore
from resumable.testing.points import Point
from resumable.testing.recording import Recording

RUN_ID = "test"
MOST_FAILURES = 6  # as `spec.backoffLimit`
_MOST_ATTEMPTS = 1000  # more would be a job that never comes to its end
_STORE_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True)
class Script:
    """What is the same in each case."""

    definition: JobDefinition[..., Any]
    value: Encoded
    early: tuple[NewSignal, ...] = ()  # there before the run begins
    signals: tuple[NewSignal, ...] = ()  # each sent when the run waits for its name
    fresh: Callable[[], object] = lambda: None
    state: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Outcome:
    """How a case came out."""

    recording: Recording
    run: Run
    steps: dict[str, tuple[str, Encoded | None]]  # by label: status and result
    state: object
    error: BaseException | None = None  # what the last attempt raised
    stuck: str = ""  # why it came to no end


@dataclass
class Case:
    """Carries one out."""

    script: Script
    store: Store
    clock: StoreClock
    folder: Path  # for checkpoint files
    point: Point | None = None
    recording: Recording = field(init=False)
    life: Life | None = None  # the attempt that runs now

    def __post_init__(self) -> None:
        self.recording = Recording(self.point)
        self._sent = itertools.count(1)

    def next_signal(self) -> int:
        """The number of a signal that a fake sends."""
        return next(self._sent)

    def play(self) -> Outcome:
        """To its end."""
        script, store = self.script, self.store
        store.delete_run(RUN_ID)  # the same id in each case: results and idempotency keys can be compared
        self.clock.begin_again()
        self.folder.mkdir(parents=True)
        script.fresh()
        store.create_run(NewRun(id=RUN_ID, namespace=NAMESPACE, name=script.definition.name, input=script.value))
        for signal in script.early:
            store.send_signal(RUN_ID, signal)
        return self._to_the_end(list(script.signals))

    def _to_the_end(self, signals: list[NewSignal]) -> Outcome:
        failures, ending = 0, None
        for _ in range(_MOST_ATTEMPTS):
            run = self._run()
            if run.status is RunStatus.PAUSED:
                return self._outcome(ending)
            if run.status is RunStatus.WAITING and (stuck := self._wake(run, signals)):
                return self._outcome(ending, stuck)
            claimed = claim_run(self.store, self._run() if run.status is RunStatus.WAITING else run, None)
            if isinstance(claimed, Run):
                return self._outcome(ending)
            ending = self._attempt(claimed) or ending
            if ending is not None and ending.exit_code is ExitCode.FAILED and ending.attempt == claimed.attempt:
                failures += 1
                if failures > MOST_FAILURES or isinstance(ending.error, ResumableError):
                    what = "attempt" if failures == 1 else "attempts"
                    return self._outcome(ending, f"{failures} {what} failed")
        return self._outcome(ending, f"it came to no end in {_MOST_ATTEMPTS} attempts")

    def _wake(self, run: Run, signals: list[NewSignal]) -> str:
        """Let come what the run waits for. Returns why nothing can come."""
        for signal in signals:
            if signal.name in run.wake_on:
                signals.remove(signal)
                self.store.send_signal(RUN_ID, signal)
                return ""
        if run.wake_at is not None:
            self.clock.wait_until(run.wake_at)
            return ""
        names = " or ".join(repr(name) for name in run.wake_on)
        return (
            f"it waits for the signal {names}, which the test does not send: jobs.signal({run.wake_on[0]!r}, payload)"
        )

    def _attempt(self, fence: Fence) -> "_Ended | None":
        """One attempt; None: it was killed."""
        life = self.life = Life(self.recording, fence.attempt)
        try:
            ending = contextvars.copy_context().run(self._live, life, fence)
        finally:
            self.life = None
            self.recording.unknown |= life.begun
        if ending is None or life.killed:
            return None
        count(self.store, fence, ending)
        return _Ended(fence.attempt, ending.exit_code, ending.error)

    def _live(self, life: Life, fence: Fence) -> Ending | None:
        life.begin()
        definition = self.script.definition
        store = cast(WorkerStore, WatchedStore(self.store, life))
        try:
            attempt = WatchedAttempt.begin(
                store, fence, life.interruption, store_timeout=_STORE_TIMEOUT, code_version=definition.version
            )
        except BaseException:
            if life.killed:
                return None
            raise
        assert isinstance(attempt, WatchedAttempt)
        attempt.life = life
        attempt.longest_hold = timedelta(0)  # time travels: no wait keeps a process
        return execute(definition, attempt, self.folder)

    def _run(self) -> Run:
        run = self.store.get_run(RUN_ID)
        assert run is not None
        return run

    def _outcome(self, ending: "_Ended | None", stuck: str = "") -> Outcome:
        steps = {
            label((step.name, step.key)): (str(step.status), step.result) for step in self.store.list_steps(RUN_ID)
        }
        error = ending.error if ending is not None else None
        return Outcome(self.recording, self._run(), steps, self.script.state(), error, stuck)


@dataclass(frozen=True, slots=True)
class _Ended:
    attempt: int
    exit_code: ExitCode
    error: BaseException | None


@contextmanager
def quietly() -> Iterator[None]:
    """Without the SDK's log lines: hundreds of cases would bury those of the undisturbed run."""
    log = logging.getLogger("resumable")
    before = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = before
