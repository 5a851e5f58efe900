"""What a client looks for again and again: a run's end, and a process that has left it. Both clients drive it."""

import os
import time
from typing import Any

from resumable.sdk import codec, environment
from resumable.sdk.annotations import result_type
from resumable.sdk.errors import RunFailed, RunNotFound, RunNotRunnable
from resumable.sdk.job import JobDefinition
from resumable.sdk.polling import Pauses, Polling, Timeout
from resumable.sdk.run_info import RunInfo, info, is_operated, live_attempt, standing
from resumable.state.outcome import Changed, StoreUnavailable
from resumable.state.record import Attempt, EndKind, Run, RunStatus, RunView
from resumable.state.store import AttemptEnd, Expected, Store

CANCELLED = "Cancelled"
STOP_REQUESTED = "StopRequested"
TRIES = 5  # of a compare-and-set, each after a fresh read
_MOST_NAMED = 5


class PollsRuns:
    """The part of a client that waits."""

    _store: Store

    def _view(self, run_id: str, *, steps: int = 0) -> RunView:
        view = self._store.view(run_id, steps=steps)
        if view is None:
            raise self._not_found(run_id)
        return view

    def _not_found(self, run_id: str) -> RunNotFound:
        runs = self._store.list_runs()  # the newest first
        named = [run.id for run in runs if run.name == run_id]
        there = ", ".join(map(repr, named[:_MOST_NAMED] or [run.id for run in runs[:_MOST_NAMED]])) or "none"
        which = f"the runs of job {run_id!r}" if named else "the newest there"
        return RunNotFound(
            f"there is no run {run_id!r} in this store; {which}: {there}. list() shows them all; on a cluster a run's"
            " id is the metadata.uid of its ResumableJob"
        )

    def _result(self, run_id: str, kind: Any, timeout: Timeout) -> Polling[Any]:
        pauses, answered = Pauses(timeout), time.monotonic()
        patience = environment.store_timeout(os.environ).total_seconds()
        while True:
            try:
                run = self._store.get_run(run_id)
            except StoreUnavailable:
                if pauses.over or time.monotonic() - answered > patience:
                    raise
                yield pauses.next()
                continue
            if run is None:
                raise self._not_found(run_id)
            if run.status.terminal:
                return _result_of(run, kind)
            if pauses.over:
                raise TimeoutError(f"{standing(run)}: it was not over within {pauses.timeout:g} s")
            answered = time.monotonic()
            yield pauses.next()

    def _stop(self, run_id: str, timeout: Timeout, reason: str = STOP_REQUESTED) -> Polling[RunInfo]:
        pauses, asked = Pauses(timeout), 0
        while True:
            view = self._view(run_id)
            living = live_attempt(view)
            if is_operated(view) and not view.run.status.terminal:
                how = "spec.cancel" if reason == CANCELLED else "spec.suspend"
                raise RunNotRunnable(
                    f"{standing(view.run)}: an operator looks after it and would start it again; set {how} of its"
                    " ResumableJob"
                )
            if living is None:
                return info(view.run)
            if pauses.over:
                raise TimeoutError(
                    f"{standing(view.run)}, was asked to leave and has not within {pauses.timeout:g} s: it reached no"
                    f" safe point, or its process died ({since(living)}). resume() takes it over,"
                    " cancel(…, force=True) ends it"
                )
            if living.number != asked:
                self._store.request_stop(run_id, living.number, reason)
                asked = living.number
            yield pauses.next()

    def _cancel(self, run_id: str, timeout: Timeout, force: bool) -> Polling[RunInfo]:
        for _ in range(TRIES):
            try:
                stopped = yield from self._stop(run_id, timeout, CANCELLED)
            except TimeoutError:
                if not force:
                    raise
                run = self._view(run_id).run
                end = AttemptEnd(
                    attempt=run.attempt,
                    kind=EndKind.REQUESTED,
                    cause=CANCELLED,
                    message="cancelled by a client; its process had not answered",
                    to=RunStatus.CANCELLED,
                    reason=CANCELLED,
                )
                self._store.count_end(run_id, end)
                continue
            if stopped.over:
                return stopped
            run = self._view(run_id).run
            told = "cancelled by a client"
            outcome = self._store.settle(run_id, Expected.of(run), RunStatus.CANCELLED, reason=CANCELLED, message=told)
            if isinstance(outcome, Changed):
                return info(outcome.run)
        raise changes_too_often(run_id)


def _result_of(run: Run, kind: Any) -> Any:
    if run.status is not RunStatus.SUCCEEDED:
        raise RunFailed(run.id, run.status.value, run.reason, run.error or run.message)
    if run.result is None:
        return None
    annotation = result_type(kind.function) if isinstance(kind, JobDefinition) else kind
    return codec.decode(run.result, annotation, of=f"run {run.id!r}: the result")


def since(attempt: Attempt) -> str:
    """Since when an attempt is there: "begun 2026-01-01 12:00:00 UTC"."""
    if attempt.begun is None:
        return f"minted {attempt.minted:%Y-%m-%d %H:%M:%S} UTC, not begun"
    return f"begun {attempt.begun:%Y-%m-%d %H:%M:%S} UTC"


def changes_too_often(run_id: str) -> RunNotRunnable:
    """For a compare-and-set that was refused again and again."""
    return RunNotRunnable(f"run {run_id!r} was changed by somebody else at each try; try again")
