"""Runs one case from its first process to its end: what the controller does, and the judge's material."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from resumable.sdk.environment import WorkerEnvironment
from resumable.state.outcome import Changed, ChangeOutcome
from resumable.state.record import Encoded, EndKind, Run, RunStatus
from resumable.state.store import AttemptEnd, Expected, NewRun, NewSignal
from tests.crash import journal
from tests.crash.faults import Strike
from tests.crash.judge import Outcome
from tests.crash.launcher import Launcher
from tests.crash.subject import Subject, subject
from tests.crash.wire import CuttingProxy
from tests.crash.zygote import Order

MOST_PROCESSES = 12  # more would be a job that never comes to its end


@dataclass
class Lane:
    """A store with what runs jobs on it, one case at a time."""

    store: Any  # the controller's `Store`; never behind the proxy
    url: str  # for workers
    launcher: Launcher
    folder: Path
    proxy: CuttingProxy | None = None
    cases: int = 0

    def run(self, name: str, strikes: Sequence[Strike] = (), planted: str = "") -> Outcome:
        """One run of the subject, disturbed by the strikes."""
        self.cases += 1
        folder = self.folder / f"case-{self.cases}"
        (folder / "checkpoints").mkdir(parents=True)
        case = _Case(self, subject(name), name, tuple(strikes), planted, folder, secrets.token_hex(8))
        return case.run()


@dataclass
class _Case:
    lane: Lane
    subject: Subject
    name: str
    strikes: tuple[Strike, ...]
    planted: str
    folder: Path
    run_id: str

    def run(self) -> Outcome:
        (self.folder / "journal").touch()
        if self.lane.proxy:
            self.lane.proxy.reset()
        if not self.subject.by_hand:
            self.lane.store.create_run(
                NewRun(id=self.run_id, namespace="crash", name=self.name, input=_encoded(dict(self.subject.input)))
            )
        codes: list[int] = []
        while len(codes) < MOST_PROCESSES:
            codes.append(self._process(len(codes) + 1))
            run = self._run()
            if run is not None and run.status.terminal:
                break
            if run is not None and run.status is RunStatus.PAUSED:
                break
            if run is not None and run.status is RunStatus.WAITING:
                self._wake(run)
        run = self._run()
        assert run is not None, self.folder
        return Outcome(
            tuple(journal.read(self.folder / "journal")),
            run.status,
            run.result.data if run.result else None,
            self.lane.store.list_steps(self.run_id),
            tuple(codes),
            self.folder,
        )

    def _run(self) -> Run | None:
        return self.lane.store.get_run(self.run_id)

    def _process(self, number: int) -> int:
        environment = {journal.FILE: str(self.folder / "journal"), journal.PROCESS: str(number)}
        order = Order(
            subject=self.name,
            environment=environment,
            folder=str(self.folder),
            strikes=[strike for strike in self.strikes if strike.process == number],
            control=self.lane.proxy.control if self.lane.proxy else "",
            planted=self.planted,
        )
        if self.subject.by_hand:
            given = ["--store", self.lane.url, "--id", self.run_id, "--input", json.dumps(dict(self.subject.input))]
            return self.lane.launcher.run(msgspec.structs.replace(order, arguments=given))
        run = self._run()
        assert run is not None
        minted = _changed(self.lane.store.mint(self.run_id, Expected.of(run), secrets.token_hex(16)))
        worker = WorkerEnvironment(
            store_url=self.lane.url,
            fence=minted.fence,
            grace=timedelta(seconds=20),
            store_timeout=timedelta(seconds=20),
            checkpoint_dir=self.folder / "checkpoints" if self.subject.checkpoints else None,
        )
        code = self.lane.launcher.run(msgspec.structs.replace(order, environment=environment | worker.variables()))
        self._count(minted.attempt, code)
        return code

    def _count(self, attempt: int, code: int) -> None:
        run = self._run()
        assert run is not None
        to, kind = RunStatus.INTERRUPTED, EndKind.INTERRUPTION
        if run.status.terminal or run.status is RunStatus.WAITING:
            kind = EndKind.COMPLETION
        elif code == 1:
            to, kind = RunStatus.PENDING, EndKind.FAILURE
        end = AttemptEnd(attempt=attempt, kind=kind, cause="Test", exit_code=code, to=to)
        _changed(self.lane.store.count_end(self.run_id, end))

    def _wake(self, run: Run) -> None:
        """The world's answer to a run that waits: the signal that it waits for, or time that passes."""
        expected = [name for name in run.wake_on if name in self.subject.signals]
        if expected:
            self._send(expected[0])
        elif run.wake_at is not None:
            self._pass_time(run)
        else:
            raise AssertionError(f"{self.name} waits for {run.wake_on}, and nobody sends that; {self.folder}")

    def _send(self, name: str) -> None:
        signal = NewSignal(id=f"{name}-1", name=name, payload=_encoded(self.subject.signals[name]), sender="ann")
        self.lane.store.send_signal(self.run_id, signal)

    def _pass_time(self, run: Run) -> None:
        assert run.wake_at is not None
        while True:
            view = self.lane.store.view(self.run_id)
            assert view is not None
            if view.now >= run.wake_at:
                break
            time.sleep(min(0.05, (run.wake_at - view.now).total_seconds()))
        if not self.subject.by_hand:
            due = self.lane.store.settle(self.run_id, Expected.of(view.run), RunStatus.PENDING, reason="TimerDue")
            _changed(due)


def _encoded(value: Any) -> Encoded:
    return Encoded("json", msgspec.json.encode(value))


def _changed(outcome: ChangeOutcome) -> Run:
    assert isinstance(outcome, Changed), outcome
    return outcome.run
