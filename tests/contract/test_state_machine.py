"""Any sequence of calls, by workers of any attempt and a controller, against a plain model of the store.

On every store. What differs between them when two call at once (locks) is in `test_races`, `test_worker_races` and
beside them.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from resumable.state import transitions
from resumable.state.outcome import (
    AlreadyDone,
    AlreadySent,
    AlreadyStored,
    Begun,
    Changed,
    Fenced,
    Rewound,
    RunEnded,
    Sent,
    SignalsChanged,
    SignalsRead,
    Stale,
    Started,
    Stopped,
    Stored,
    WriteOutcome,
)
from resumable.state.record import EndKind, Fence, RunStatus, StepRef, StepStatus, Write, WriteRef
from resumable.state.store import (
    AttemptEnd,
    Beginning,
    Expected,
    FinishedStep,
    NewSignal,
    RestartRequest,
    RunEnd,
    SavedCursor,
    StartedStep,
    Store,
)
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
    failures: int = 0
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
    generation: int = 1
    attempts: list[ModelAttempt] = field(default_factory=list)
    steps: dict[str, ModelStep] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)  # how often
    consumers: dict[str, str] = field(default_factory=dict)  # of each signal, in the order they came; "": none yet
    wake_on: tuple[str, ...] = ()
    payload: int | None = None

    @property
    def unconsumed(self) -> list[str]:
        return [id_ for id_, consumer in self.consumers.items() if not consumer]

    @property
    def stored(self) -> Stored:
        return Stored("", len(self.consumers))

    @property
    def current(self) -> ModelAttempt | None:
        return self.attempts[-1] if self.attempts else None


class StoreMachine(RuleBasedStateMachine):
    attempts = Bundle("attempts")
    written = Bundle(
        "written"
    )  # (attempt, the call, its step, how often that was forgotten before): sent again at any later time

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    @initialize()
    def create(self) -> None:
        self.id = new_run(self.store).id
        self.model = Model()

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
            assert [signal.id for signal in outcome.signals] == self.model.unconsumed
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

    def touch(
        self, attempt: ModelAttempt, name: str, status: StepStatus, write: Write, *, goes_on: bool = False
    ) -> ModelStep:
        """A try of the step goes on, or a new one begins. `goes_on`: it is a wait, which outlives its attempt."""
        number = attempt.fence.attempt
        step = self.model.steps.get(name)
        if step is None:
            step = self.model.steps[name] = ModelStep(status, number, write.write_id)
        elif step.status is not StepStatus.STARTED or (step.attempt != number and not goes_on):
            step.tries += 1
            step.interruptions += step.status is StepStatus.STARTED
        step.status, step.attempt, step.write_id = status, number, write.write_id
        return step

    def do(
        self,
        attempt: ModelAttempt,
        name: str,
        write: Write,
        call: Callable[[], WriteOutcome],
        kind: str,
        *,
        signals_are_right: bool = True,
    ) -> bool:
        """Make the call and check its answer; whether it was stored."""
        outcome = call()
        if refusal := self.refusal(attempt):
            assert outcome == refusal
        elif (step := self.model.steps.get(name)) and step.status is StepStatus.DONE:
            assert outcome == AlreadyDone(name, "")
        elif not signals_are_right:
            assert outcome == SignalsChanged(len(self.model.consumers))
        else:
            assert outcome == self.model.stored
            attempt.after = WriteRef(kind, name, "", write.write_id, write.sequence)
            return True
        return False

    @rule(
        target=written,
        attempt=attempts,
        name=STEPS,
        fails=st.booleans(),
        payload=st.one_of(st.none(), st.integers(0, 3)),
        takes=st.sampled_from(["", "", "s0", "s1", "s2"]),
        missed=st.sampled_from([None, None, 0, 1]),
    )
    def finish(
        self, attempt: ModelAttempt, name: str, fails: bool, payload: int | None, takes: str, missed: int | None
    ) -> Any:
        """`missed`: so many signals came since the worker looked."""
        write = self.write_of(attempt)
        step = FinishedStep(
            name=name,
            result=None if fails else encoded(write.sequence),
            error="no" if fails else "",
            payload=None if payload is None else encoded(payload),
            consumes=takes,
            signal_seq=None if missed is None else len(self.model.consumers) - missed,
        )

        def call() -> WriteOutcome:
            return self.store.finish_step(attempt.fence, write, step)

        right = not missed and (not takes or takes in self.model.unconsumed)
        if not self.do(attempt, name, write, call, "step", signals_are_right=right):
            return multiple()
        touched = self.touch(attempt, name, StepStatus.FAILED if fails else StepStatus.DONE, write)
        touched.failures += fails
        if takes:
            self.model.consumers[takes] = name
        if payload is not None:
            self.model.payload = payload
        return (attempt, call, name, self.model.forgotten.get(name, 0))

    @rule(attempt=attempts, name=STEPS, effect=st.sampled_from(["", "at-most-once"]))
    def start(self, attempt: ModelAttempt, name: str, effect: str) -> None:
        write = self.write_of(attempt)
        outcome = self.store.start_step(attempt.fence, write, StartedStep(name=name, effect=effect))
        if refusal := self.refusal(attempt):
            assert outcome == refusal
        elif (step := self.model.steps.get(name)) and step.status is StepStatus.DONE:
            assert outcome == AlreadyDone(name, "")
        else:
            assert isinstance(outcome, Started)
            self.touch(attempt, name, StepStatus.STARTED, write, goes_on=not effect)

    @rule(attempt=attempts, name=STEPS)
    def forget(self, attempt: ModelAttempt, name: str) -> None:
        if attempt.after and attempt.after.name == name:
            attempt.after = None
        outcome = self.store.forget_step(attempt.fence, self.write_of(attempt), name, "")
        assert outcome == (self.refusal(attempt) or self.model.stored)
        if isinstance(outcome, Stored) and name in self.model.steps:
            del self.model.steps[name]
            self.model.forgotten[name] = self.model.forgotten.get(name, 0) + 1

    @rule(id_=st.sampled_from(["s0", "s1", "s2"]), name=STEPS)
    def send(self, id_: str, name: str) -> None:
        outcome = self.store.send_signal(self.id, NewSignal(id=id_, name=name))
        if id_ in self.model.consumers:
            assert outcome == AlreadySent()
        elif self.model.status.terminal:
            assert outcome == RunEnded(self.model.status)
        else:
            self.model.consumers[id_] = ""
            assert outcome == Sent(len(self.model.consumers))
            if self.model.status is RunStatus.WAITING and name in self.model.wake_on:
                self.model.status = RunStatus.PENDING

    @rule(attempt=attempts)
    def read_signals(self, attempt: ModelAttempt) -> None:
        outcome = self.store.read_signals(attempt.fence)
        if refusal := self.refusal(attempt):
            assert outcome == refusal
        else:
            assert isinstance(outcome, SignalsRead)
            assert [signal.id for signal in outcome.signals] == self.model.unconsumed

    @rule(target=written, attempt=attempts, name=STEPS, value=st.integers(0, 3))
    def save(self, attempt: ModelAttempt, name: str, value: int) -> Any:
        write = self.write_of(attempt)
        cursor = SavedCursor(name=name, value=encoded(value))

        def call() -> WriteOutcome:
            return self.store.save_cursor(attempt.fence, write, cursor)

        if not self.do(attempt, name, write, call, "cursor"):
            return multiple()
        self.touch(attempt, name, StepStatus.STARTED, write).cursor = value
        return (attempt, call, name, self.model.forgotten.get(name, 0))

    @rule(again=written)
    def send_again(self, again: tuple[ModelAttempt, Callable[[], WriteOutcome], str, int]) -> None:
        """A duplicate, however late, changes nothing, and is told that it was stored as long as its fence holds.

        Unless its step was forgotten, and with it that it was ever written: a worker forgets what it has an answer of.
        """
        attempt, call, name, forgotten = again
        if attempt is self.model.current and self.model.forgotten.get(name, 0) != forgotten:
            return
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

    @rule(
        attempt=attempts,
        status=st.sampled_from(sorted(transitions.TABLE[Transition.END][RunStatus.RUNNING])),
        wake_on=st.lists(STEPS, unique=True).map(tuple),
        missed=st.sampled_from([0, 0, 1]),
    )
    def end(self, attempt: ModelAttempt, status: RunStatus, wake_on: tuple[str, ...], missed: int) -> None:
        waits = status is RunStatus.WAITING
        seen = len(self.model.consumers) - missed
        end = RunEnd(status=status, wake_on=wake_on if waits else (), signal_seq=seen if waits else None)
        outcome = self.store.end_run(attempt.fence, self.write_of(attempt), end)
        if refusal := self.refusal(attempt):
            assert outcome == refusal
        elif waits and missed:
            assert outcome == SignalsChanged(len(self.model.consumers))
        else:
            assert outcome == self.model.stored
            self.model.status, self.model.wake_on = status, wake_on

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

    @rule(name=STEPS, forgets=st.booleans())
    def restart(self, name: str, forgets: bool) -> None:
        forget = (StepRef(name),) if forgets else ()
        request = RestartRequest(request_id=secrets.token_hex(8), forget=forget)
        outcome = self.store.restart(self.id, self.expected(), request)
        current = self.model.current
        if self.model.status is RunStatus.RUNNING or (current and not current.ended):
            assert isinstance(outcome, Stale)
            return
        assert isinstance(outcome, Changed)
        assert self.store.restart(self.id, self.expected(), request) == outcome  # once, however often it is sent
        self.model.status, self.model.generation = RunStatus.PENDING, self.model.generation + 1
        if forgets and self.model.steps.pop(name, None) is not None:
            self.model.forgotten[name] = self.model.forgotten.get(name, 0) + 1

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        if not hasattr(self, "id"):
            return
        run = run_of(self.store, self.id)
        assert run.status is self.model.status
        assert (run.attempt, run.generation) == (len(self.model.attempts), self.model.generation)
        stored = {
            step.name: (step.status, step.attempt, step.tries, step.interruptions, step.failures)
            for step in self.store.list_steps(self.id)
        }
        assert stored == {
            name: (step.status, step.attempt, step.tries, step.interruptions, step.failures)
            for name, step in self.model.steps.items()
        }
        cursors = {cursor.name: cursor.value for cursor in self.store.list_cursors(self.id)}
        assert cursors == {n: encoded(s.cursor) for n, s in self.model.steps.items() if s.cursor is not None}
        assert {signal.id: signal.consumed_by for signal in self.store.list_signals(self.id)} == self.model.consumers
        assert run.signal_seq == len(self.model.consumers)
        assert run.payload == (None if self.model.payload is None else encoded(self.model.payload))
        tries = [(each.name, each.number) for each in self.store.list_tries(self.id)]
        assert len(set(tries)) == len(tries)
        view = self.store.view(self.id)
        assert view is not None
        assert view.steps_done == list(self.statuses().values()).count(StepStatus.DONE)
        assert [attempt.ended is not None for attempt in view.attempts] == [a.ended for a in self.model.attempts]


def test_any_sequence_of_calls_does_what_the_model_says(store: Store, request: pytest.FixtureRequest) -> None:
    # The rules are one implementation for all SQL engines: on the fastest many sequences, on the others a few.
    examples = 50 if request.node.callspec.params["store"] == "sqlite-memory" else 12
    run_state_machine_as_test(
        partial(StoreMachine, store),  # type: ignore[arg-type]  # it calls it and no more
        settings=settings(max_examples=examples, stateful_step_count=30, deadline=None),
    )
