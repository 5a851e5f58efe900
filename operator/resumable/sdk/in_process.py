"""A run inside another program: a notebook, a web application, a test. No signals are taken over; `stop()` takes
their place.
"""

import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from resumable.sdk import codec, environment
from resumable.sdk.annotations import result_type
from resumable.sdk.attempt import Attempt
from resumable.sdk.errors import RunNotRunnable
from resumable.sdk.execution import execute
from resumable.sdk.heartbeat import Heartbeat
from resumable.sdk.interruption import Interruption
from resumable.sdk.job import JobDefinition
from resumable.sdk.local_run import DEFAULT_FILE, Place, claim, count
from resumable.state.record import Fence, Run, RunStatus
from resumable.state.store import Store

if TYPE_CHECKING:
    from resumable.sdk.in_loop import CallersLoop

log = logging.getLogger("resumable")

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class JobRun(Generic[R_co]):
    """A run that goes on in a thread of this process."""

    def __init__(self, run_id: str, interruption: Interruption) -> None:
        self.id = run_id
        self._interruption = interruption
        self._future: Future[R_co] = Future()

    @property
    def done(self) -> bool:
        """Whether it has ended: well, badly, or because it was stopped."""
        return self._future.done()

    def stop(self) -> None:
        """Ask it to save and to leave at its next safe point."""
        self._interruption.ask("StopRequested", "stop() was called")

    def result(self, timeout: float | None = None) -> R_co:
        """The job's result; waits up to `timeout` seconds (`TimeoutError`).

        Raises what the job raised, or `Interrupted`, `Fenced`, `Rewound` when it had to leave.
        """
        return self._future.result(timeout)


def start(
    definition: JobDefinition[..., R],
    values: Mapping[str, Any] | None,
    *,
    run_id: str | None,
    store: Store | str | Path | None,
) -> JobRun[R]:
    """Run in a thread of its own."""
    return in_thread(Claimed.local(definition, values, run_id or definition.name, store))


def in_thread(claimed: "Claimed[R]") -> JobRun[R]:
    """Carry the run out in a thread of its own."""
    handle: JobRun[R] = JobRun(claimed.run_id, claimed.interruption)

    def work() -> None:
        try:
            handle._future.set_result(claimed.carry_out())
        except BaseException as error:  # noqa: BLE001 - control exceptions too: result() raises them
            handle._future.set_exception(error)

    threading.Thread(target=work, name=f"resumable-{claimed.run_id}", daemon=True).start()
    return handle


def run(
    definition: JobDefinition[..., R],
    values: Mapping[str, Any] | None,
    *,
    run_id: str | None,
    store: Store | str | Path | None,
) -> R:
    """Run in this thread."""
    return Claimed.local(definition, values, run_id or definition.name, store).carry_out()


class Claimed(Generic[R]):
    """A run whose next attempt is this program's, and that is locked until it was carried out."""

    def __init__(
        self, definition: JobDefinition[..., R], run_id: str, place: Place, claimed: Fence | Run, locked: ExitStack
    ) -> None:
        self.run_id = run_id
        self.interruption = Interruption(environment.grace(os.environ))
        self._definition = definition
        self._store = place.store
        self._checkpoints: Path | None = None
        try:
            self._checkpoints = place.checkpoints()
        except OSError as error:  # a container whose disk can't be written: most jobs need none
            log.debug("run %s: no place for checkpoint files: %s", run_id, error)
        self._claimed = claimed
        self._locked = locked  # what is held until the attempt was carried out

    @classmethod
    def local(
        cls,
        definition: JobDefinition[..., R],
        values: Mapping[str, Any] | None,
        run_id: str,
        store: Store | str | Path | None,
    ) -> "Claimed[R]":
        """Make the run if it is new, and claim it."""
        value = None if values is None else definition.inputs.encode(values)
        with ExitStack() as locked:
            if store is None or isinstance(store, (str, Path)):
                place = Place.open(store)
                locked.callback(place.store.close)
                locked.enter_context(place.lock(run_id))
            else:
                place = Place(store, DEFAULT_FILE.parent.absolute())
            claimed = claim(place.store, run_id, definition.name, value)
            return cls(definition, run_id, place, claimed, locked.pop_all())

    def carry_out(self, loop: "CallersLoop | None" = None) -> R:
        """Run the attempt; the stored result when the run was done before. An async job's function runs in `loop`."""
        with self._locked:
            if isinstance(self._claimed, Run):
                return self._stored_result(self._claimed)
            timeout = environment.store_timeout(os.environ)
            attempt = Attempt.begin(
                self._store,
                self._claimed,
                self.interruption,
                store_timeout=timeout,
                code_version=self._definition.version,
            )
            with Heartbeat(attempt, limit=timeout):
                ending = execute(self._definition, attempt, self._checkpoints, loop)
            count(self._store, self._claimed, ending)
        if ending.error is not None:
            raise ending.error
        return cast(R, ending.value)

    def _stored_result(self, over: Run) -> R:
        if over.status is not RunStatus.SUCCEEDED:
            raise RunNotRunnable(f"run {over.id!r} is {over.status} ({over.reason}): {over.message or over.error}")
        if over.result is None:
            return cast(R, None)
        annotation = result_type(self._definition.function)
        return cast(R, codec.decode(over.result, annotation, of=f"run {over.id!r}: the result"))
