"""Any sequence of calls, by workers of any attempt and a controller, against a plain model of the store.

On SQLite in memory, as the rules are the same SQL everywhere; what differs between engines (locks) is in `test_races`
and beside it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from resumable.state import transitions
from resumable.state.outcome import (
    AlreadyDone,
    AlreadyStored,
    Begun,
    Changed,
    Fenced,
    Rewound,
    Stale,
    Stopped,
    Stored,
    WriteOutcome,
)
from resumable.state.record import EndKind, Fence, RunStatus, StepStatus, Write, WriteRef
from resumable.state.sql.store import SqlStore
from resumable.state.store import AttemptEnd, Beginning, Expected, FinishedStep, RunEnd, SavedCursor
from resumable.state.transitions import Transition
from tests.contract.runs import encoded, new_run, run_of

STEPS = st.sampled_from(["load", "import", "report"])
SETTLED = [RunStatus.PENDING, RunStatus.SUSPENDED, RunStatus.PAUSED, RunStatus.CANCELLED, RunStatus.FAILED]


@dataclass
class ModelStep:
    status: StepStatus
    attempt: int
    write_id: str
    tries: int = 1
    interruptions: int = 0
    cursor: int | None = None


@dataclass
class ModelAttempt:
    fence: Fence
    process: str = ""
    ended: bool = False
    sequence: int = 0
    after: WriteRef | None = None


@dataclass
class Model:
    """What the store should hold."""

    status: RunStatus = RunStatus.PENDING
    attempts: list[ModelAttempt] = field(default_factory=list)
    steps: dict[str, ModelStep] = field(default_factory=dict)

    @property
    def current(self) -> ModelAttempt | None:
        return self.attempts[-1] if self.attempts else None


class StoreMachine(RuleBasedStateMachine):
    attempts = Bundle("attempts")
    written = Bundle(
        "written"
    )  # (attempt, the call, step or "") of writes that were stored: sent again at any later time

    @initialize()
    def create(self) -> None:
        self.store = SqlStore("sqlite://")
        self.id = new_run(self.store).id
        self.model = Model()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def expected(self) -> Expected:
        return Expected.of(run_of(self.store, self.id))

    @rule(target=attempts)
    def mint(self) -> Any:
        nonce = secrets.token_hex(16)
        outcome = self.store.mint(self.id, self.expected(), nonce)
        if not transitions.allowed(Transition.MINT, self.model.status, RunStatus.PENDING):
            assert isinstance(outcome, Stale)
            return multiple()
        assert isinstance(outcome, Changed)
        self.model.status = RunStatus.PENDING
        self.model.attempts.append(ModelAttempt(outcome.run.fence))
        return self.model.attempts[-1]

    @rule(attempt=attempts, process=st.sampled_from(["a", "b"]))
    def begin(self, attempt: ModelAttempt, process: str) -> None:
        outcome = self.store.begin(attempt.fence, Beginning(process_id=process))
        if attempt is not self.model.current or attempt.process not in ("", process) or attempt.ended:
            assert isinstance(outcome, Fenced)
        elif self.model.status not in (RunStatus.PENDING, RunStatus.RUNNING):
            assert outcome == Stopped(self.model.status)
        else:
            assert isinstance(outcome, Begun)
            assert {step.name: step.status for step in outcome.steps} == self.statuses()
            attempt.process = process
            self.model.status = RunStatus.RUNNING

    def statuses(self) -> dict[str, StepStatus]:
        return {name: step.status for name, step in self.model.steps.items()}

    def refusal(self, attempt: ModelAttempt) -> WriteOutcome | None:
        current = self.model.current
        assert current is not None
        if attempt is not current:
            return Fenced(current.fence.attempt, f"attempt {current.fence.attempt} is the current one")
        return None if self.model.status is RunStatus.RUNNING else Stopped(self.model.status)

    def write_of(self, attempt: ModelAttempt) -> Write:
        attempt.sequence += 1
        return Write(secrets.token_hex(16), attempt.sequence, attempt.after)

    def touch(self, attempt: ModelAttempt, name: str, status: StepStatus, write: Write) -> ModelStep:
        """A try of the step goes on, or a new one begins."""
        number = attempt.fence.attempt
        step = self.model.steps.get(name)
        if step is None:
            step = self.model.steps[name] = ModelStep(status, number, write.write_id)
        elif step.status is not StepStatus.STARTED or step.attempt != number:
            step.tries += 1
            step.interruptions += step.status is StepStatus.STARTED
        step.status, step.attempt, step.write_id = status, number, write.write_id
        return step

    def do(self, attempt: ModelAttempt, name: str, write: Write, call: Callable[[], WriteOutcome], kind: str) -> bool:
        """Make the call and check its answer; whether it was stored."""
        outcome = call()
        if refusal := self.refusal(attempt):
            assert outcome == refusal
        elif (step := self.model.steps.get(name)) and step.status is StepStatus.DONE:
            assert outcome == AlreadyDone(name, "")
        else:
            assert outcome == Stored()
            attempt.after = WriteRef(kind, name, "", write.write_id, write.sequence)
            return True
        return False

    @rule(target=written, attempt=attempts, name=STEPS, fails=st.booleans())
    def finish(self, attempt: ModelAttempt, name: str, fails: bool) -> Any:
        write = self.write_of(attempt)
        step = FinishedStep(name=name, result=None if fails else encoded(write.sequence), error="no" if fails else "")

        def call() -> WriteOutcome:
            return self.store.finish_step(attempt.fence, write, step)

        if not self.do(attempt, name, write, call, "step"):
            return multiple()
        self.touch(attempt, name, StepStatus.FAILED if fails else StepStatus.DONE, write)
        return (attempt, call)

    @rule(target=written, attempt=attempts, name=STEPS, value=st.integers(0, 3))
    def save(self, attempt: ModelAttempt, name: str, value: int) -> Any:
        write = self.write_of(attempt)
        cursor = SavedCursor(name=name, value=encoded(value))

        def call() -> WriteOutcome:
            return self.store.save_cursor(attempt.fence, write, cursor)

        if not self.do(attempt, name, write, call, "cursor"):
            return multiple()
        self.touch(attempt, name, StepStatus.STARTED, write).cursor = value
        return (attempt, call)

    @rule(again=written)
    def send_again(self, again: tuple[ModelAttempt, Callable[[], WriteOutcome]]) -> None:
        """A duplicate, however late, changes nothing, and is told that it was stored as long as its fence holds."""
        attempt, call = again
        outcome = call()
        if attempt is not self.model.current:
            assert isinstance(outcome, Fenced)
        elif self.model.status is RunStatus.RUNNING:
            assert isinstance(outcome, AlreadyStored | AlreadyDone)
        else:
            assert isinstance(outcome, AlreadyStored | Stopped)

    @rule(attempt=attempts, name=STEPS)
    def write_after_one_that_is_gone(self, attempt: ModelAttempt, name: str) -> None:
        gone = WriteRef("step", "never-written", "", "f" * 32, attempt.sequence + 1)
        write = Write(secrets.token_hex(16), attempt.sequence + 2, gone)
        outcome = self.store.finish_step(attempt.fence, write, FinishedStep(name=name))
        expected = self.refusal(attempt)
        assert outcome == expected if expected else isinstance(outcome, Rewound)

    @rule(attempt=attempts, status=st.sampled_from(sorted(transitions.TABLE[Transition.END][RunStatus.RUNNING])))
    def end(self, attempt: ModelAttempt, status: RunStatus) -> None:
        outcome = self.store.end_run(attempt.fence, self.write_of(attempt), RunEnd(status=status))
        assert outcome == (self.refusal(attempt) or Stored())
        if outcome == Stored():
            self.model.status = status

    @rule(attempt=attempts, to=st.sampled_from([RunStatus.INTERRUPTED, RunStatus.PENDING, RunStatus.SUSPENDED]))
    def count_end(self, attempt: ModelAttempt, to: RunStatus) -> None:
        end = AttemptEnd(attempt=attempt.fence.attempt, kind=EndKind.INTERRUPTION, cause="Evicted", to=to)
        assert isinstance(self.store.count_end(self.id, end), Changed)
        live = self.model.status in (RunStatus.PENDING, RunStatus.RUNNING)
        if attempt is self.model.current and not attempt.ended and live:
            self.model.status = to
        attempt.ended = True

    @rule(to=st.sampled_from(SETTLED))
    def settle(self, to: RunStatus) -> None:
        outcome = self.store.settle(self.id, self.expected(), to, reason="Asked")
        allowed = transitions.allowed(Transition.SETTLE, self.model.status, to)
        assert isinstance(outcome, Changed if allowed else Stale)
        if allowed:
            self.model.status = to

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        run = run_of(self.store, self.id)
        assert run.status is self.model.status
        assert run.attempt == len(self.model.attempts)
        stored = {
            step.name: (step.status, step.attempt, step.tries, step.interruptions)
            for step in self.store.list_steps(self.id)
        }
        assert stored == {
            name: (step.status, step.attempt, step.tries, step.interruptions) for name, step in self.model.steps.items()
        }
        cursors = {cursor.name: cursor.value for cursor in self.store.list_cursors(self.id)}
        assert cursors == {n: encoded(s.cursor) for n, s in self.model.steps.items() if s.cursor is not None}
        view = self.store.view(self.id)
        assert view is not None
        assert view.steps_done == list(self.statuses().values()).count(StepStatus.DONE)
        assert [attempt.ended is not None for attempt in view.attempts] == [a.ended for a in self.model.attempts]


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
