"""Runs and workers, as the tests speak of them."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec

from resumable.state.outcome import Begun, Changed, ChangeOutcome, Fenced, Stored, WriteOutcome
from resumable.state.record import Encoded, EndKind, Fence, Run, RunStatus, Step, Write, WriteRef
from resumable.state.store import (
    AttemptEnd,
    Beginning,
    Expected,
    FinishedStep,
    NewRun,
    RunEnd,
    SavedCursor,
    StartedStep,
    StepActivity,
    Store,
)


def encoded(value: Any) -> Encoded:
    return Encoded("json", msgspec.json.encode(value))


def new_run(store: Store, run_id: str = "") -> Run:
    return store.create_run(NewRun(id=run_id or secrets.token_hex(8), namespace="default", name="import", input=None))


def run_of(store: Store, run_id: str) -> Run:
    found = store.get_run(run_id)
    assert found is not None
    return found


def changed(outcome: ChangeOutcome) -> Run:
    assert isinstance(outcome, Changed), outcome
    return outcome.run


def minted(store: Store, run: Run, nonce: str = "") -> Run:
    return changed(store.mint(run.id, Expected.of(run), nonce or secrets.token_hex(16)))


@dataclass
class Worker:
    """A process of an attempt: numbers its writes, and remembers the last one that was acknowledged."""

    store: Store
    fence: Fence
    process_id: str = field(default_factory=lambda: secrets.token_hex(16))
    begun: Begun | None = None
    sequence: int = 0
    acknowledged: WriteRef | None = None

    def begin(self, **beginning: Any) -> Any:
        outcome = self.store.begin(self.fence, Beginning(process_id=self.process_id, **beginning))
        if isinstance(outcome, Begun):
            self.begun = outcome
        return outcome

    def write(self) -> Write:
        self.sequence += 1
        return Write(secrets.token_hex(16), self.sequence, self.acknowledged)

    def finish(self, name: str, result: Any = None, *, write: Write | None = None, **step: Any) -> WriteOutcome:
        write = write or self.write()
        done = FinishedStep(name=name, result=None if step.get("error") else encoded(result), **step)
        outcome = self.store.finish_step(self.fence, write, done)
        if isinstance(outcome, Stored):
            self.acknowledged = WriteRef("step", name, done.key, write.write_id, write.sequence)
        return outcome

    def save(self, name: str, value: Any, *, write: Write | None = None, **cursor: Any) -> WriteOutcome:
        write = write or self.write()
        saved = SavedCursor(name=name, value=encoded(value), **cursor)
        outcome = self.store.save_cursor(self.fence, write, saved)
        if isinstance(outcome, Stored):
            self.acknowledged = WriteRef("cursor", name, saved.key, write.write_id, write.sequence)
        return outcome

    def start(self, name: str, *, write: Write | None = None, **step: Any) -> Any:
        return self.store.start_step(self.fence, write or self.write(), StartedStep(name=name, **step))

    def forget(self, name: str, key: str = "", *, write: Write | None = None) -> WriteOutcome:
        if self.acknowledged and (self.acknowledged.name, self.acknowledged.key) == (name, key):
            self.acknowledged = None
        return self.store.forget_step(self.fence, write or self.write(), name, key)

    def show(self, name: str, **activity: Any) -> WriteOutcome:
        return self.store.heartbeat(self.fence, (StepActivity(name=name, **activity),))

    def end(self, status: RunStatus = RunStatus.SUCCEEDED, **end: Any) -> WriteOutcome:
        return self.store.end_run(self.fence, self.write(), RunEnd(status=status, **end))

    def every_write(self) -> list[Any]:
        """One write of each kind."""
        return [
            self.start("waited"),
            self.forget("waited"),
            self.finish("late"),
            self.save("later", 1),
            self.show("latest"),
            self.store.save_payload(self.fence, self.write(), encoded({})),
            self.end(),
        ]


def next_worker(store: Store, run: Run) -> Worker:
    """The next attempt: minted and begun."""
    worker = Worker(store, minted(store, run).fence)
    assert isinstance(worker.begin(), Begun)
    return worker


def started(store: Store, run_id: str = "") -> Worker:
    """A new run whose first attempt has begun."""
    return next_worker(store, new_run(store, run_id))


def ended(
    worker: Worker,
    kind: EndKind = EndKind.INTERRUPTION,
    to: RunStatus = RunStatus.INTERRUPTED,
    *,
    cause: str = "EvictionByEvictionAPI",
    **end: Any,
) -> Run:
    """The worker's pod is terminal and was counted."""
    counted = AttemptEnd(attempt=worker.fence.attempt, kind=kind, cause=cause, to=to, **end)
    return changed(worker.store.count_end(worker.fence.run_id, counted))


def resumed(worker: Worker, **end: Any) -> Worker:
    """The worker is interrupted; the next attempt begins."""
    return next_worker(worker.store, ended(worker, **end))


def step_of(worker: Worker, name: str, key: str = "") -> Step:
    [found] = [step for step in worker.store.list_steps(worker.fence.run_id) if (step.name, step.key) == (name, key)]
    return found


def names(steps: tuple[Step, ...]) -> list[str]:
    return [step.name for step in steps]


def is_fenced(outcome: object) -> bool:
    return isinstance(outcome, Fenced)
