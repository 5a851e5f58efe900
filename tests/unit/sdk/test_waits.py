"""Waits and sleeps on a real SQLite; each `run` is one attempt."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resumable import InvalidStep, Job, JobDefinition, Received, Retry, Waiting, WaitTimeout, job
from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import Replayed
from resumable.sdk.wait_run import SignalWait
from resumable.sdk.wake import united
from resumable.state.outcome import Sent, WriteOutcome
from resumable.state.record import Encoded, EndKind, Fence, Run, RunStatus, StepStatus, Write
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep, NewSignal, RunEnd
from tests.sdk.process import wait_for
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import begin


@dataclass
class Approval:
    granted: bool


def send(
    store: SqlStore, payload: str = '{"granted": true}', *, id: str = "1", name: str = "approval", run: str = "j"
) -> None:
    signal = NewSignal(id=id, name=name, payload=Encoded("json", payload.encode()), sender="ann")
    assert isinstance(store.send_signal(run, signal), Sent)


def run_of(store: SqlStore, run_id: str = "j") -> Run:
    run = store.get_run(run_id)
    assert run is not None
    return run


def consumed(store: SqlStore) -> dict[str, str]:
    return {signal.id: signal.consumed_by for signal in store.list_signals("j")}


def approving(
    effects: Effects, *, timeout: str | None = None, hold: str = "0s"
) -> JobDefinition[Any, list[str | bool | None]]:
    @job("j")
    def approve(j: Job) -> list[str | bool | None]:
        j.step("before", effects.of("before"))
        answer = j.wait("approval", Approval, timeout=timeout, hold=hold)
        j.step("after", effects.of("after"))
        return [answer.payload.granted, answer.sender, answer.id, str(answer.sent.tzinfo)]

    return approve


RECEIVED: list[str | bool | None] = [True, "ann", "1", "UTC"]


def test_a_long_wait_ends_the_attempt_and_a_signal_starts_the_next(store: SqlStore, effects: Effects) -> None:
    approve = approving(effects)
    with pytest.raises(Waiting, match="step approval waits for the signal 'approval'"):
        approve.run(store=store)
    run = run_of(store)
    assert (run.status, run.reason, run.wake_on, run.wake_at) == (RunStatus.WAITING, "SignalWait", ("approval",), None)
    send(store)
    assert run_of(store).status is RunStatus.PENDING
    assert approve.run(store=store) == RECEIVED
    assert effects == ["before", "after"]
    assert consumed(store) == {"1": "approval"}
    view = store.view("j")
    assert view is not None
    assert [attempt.end_kind for attempt in view.attempts] == [EndKind.COMPLETION, EndKind.COMPLETION]


def test_a_signal_may_come_before_the_wait(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def early(j: Job) -> str:
        j.step("send", lambda: send(store, '"hello"', name="greeting"))
        return j.wait("greeting", str, hold="0s").payload

    assert early.run(store=store) == "hello"


def test_a_signal_that_comes_while_it_is_held_is_taken_in_the_same_attempt(store: SqlStore, effects: Effects) -> None:
    running = approving(effects, hold="30s").start(store=store)
    wait_for(lambda: any(step.name == "approval" for step in store.list_steps("j")), "the wait")
    send(store)
    assert running.result(timeout=30) == RECEIVED
    assert run_of(store).attempt == 1


def test_what_was_received_is_replayed(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def twice(j: Job) -> bool:
        answer = j.wait("approval", Approval, hold="0s")
        if not effects:
            effects.append("failed")
            raise ValueError
        assert (answer.sender, answer.id) == ("ann", "1")
        return answer.payload.granted

    with pytest.raises(Waiting):
        twice.run(store=store)
    send(store)
    with pytest.raises(ValueError, match=r"^$"):
        twice.run(store=store)
    assert twice.run(store=store) is True


def test_a_wait_times_out_for_good(store: SqlStore) -> None:
    @job("j")
    def patient(j: Job, fail: bool) -> str:
        try:
            j.wait("approval", Approval, timeout="50ms")
        except WaitTimeout as error:
            if fail:
                raise ValueError from error
            return str(error)
        return "received"

    with pytest.raises(ValueError, match=r"^$"):
        patient.run({"fail": True}, store=store)
    send(store)  # too late: that the time was up is stored
    expected = "step approval: no signal 'approval' came within 0.05s"
    assert patient.run({"fail": False}, store=store) == expected
    assert consumed(store) == {"1": ""}


def test_the_time_counts_from_the_first_start_over_all_attempts(store: SqlStore, effects: Effects) -> None:
    approve = approving(effects, timeout="300ms")
    with pytest.raises(Waiting):
        approve.run(store=store)
    wake_at = run_of(store).wake_at
    (deadline,) = [step.deadline for step in store.list_steps("j") if step.name == "approval"]
    assert wake_at is not None
    assert wake_at == deadline
    with pytest.raises(Waiting, match=r"run 'j' waits for the signal 'approval', until .* UTC at the longest; send it"):
        approve.run(store=store)
    wait_for(lambda: store.info().now >= wake_at, "the deadline")
    with pytest.raises(WaitTimeout):
        approve.run(store=store)
    assert effects == ["before"]
    assert run_of(store).attempt == 2, "the refused start was no attempt"


def test_in_a_loop_each_wait_takes_the_next_signal(store: SqlStore) -> None:
    @job("j")
    def reader(j: Job) -> list[int]:
        return [j.options(key=n).wait("number", int, hold="0s").payload for n in range(3)]

    with pytest.raises(Waiting):
        reader.run(store=store)
    for n in range(3):
        send(store, str(n * 10), id=f"id-{n}", name="number")
    assert reader.run(store=store) == [0, 10, 20]
    assert consumed(store) == {"id-0": "number[0]", "id-1": "number[1]", "id-2": "number[2]"}


def test_a_payload_that_does_not_fit_stays_and_the_wait_goes_on(
    store: SqlStore, effects: Effects, caplog: pytest.LogCaptureFixture
) -> None:
    approve = approving(effects)
    with pytest.raises(Waiting):
        approve.run(store=store)
    send(store, '{"granted": "perhaps"}', id="bad")
    with pytest.raises(Waiting, match=r"waits for the signal 'approval' \(1 came whose payload does not fit\)"):
        approve.run(store=store)
    assert "the payload of signal bad from ann does not fit Approval: Expected `bool`, got `str`" in caplog.text
    send(store, id="1")
    assert approve.run(store=store) == RECEIVED
    assert consumed(store) == {"bad": "", "1": "approval"}


def test_a_signal_without_a_payload_is_none(store: SqlStore) -> None:
    @job("j")
    def go(j: Job) -> Any:
        store.send_signal("j", NewSignal(id="1", name="go"))
        return j.wait("go").payload

    assert go.run(store=store) is None


class Racing(SqlStore):
    """Something happens between what a wait has read and what it writes."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        self.before_end: list[Callable[[], None]] = []
        self.before_timeout: list[Callable[[], None]] = []

    def end_run(self, fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
        if self.before_end:
            self.before_end.pop()()
        return super().end_run(fence, write, end)

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        if step.signal_seq is not None and self.before_timeout:
            self.before_timeout.pop()()
        return super().finish_step(fence, write, step)


@pytest.fixture
def racing() -> Iterator[Racing]:
    store = Racing()
    yield store
    store.close()


def test_a_signal_that_comes_while_it_leaves_is_not_lost(racing: Racing, effects: Effects) -> None:
    racing.before_end.append(lambda: send(racing))
    assert approving(effects).run(store=racing) == RECEIVED
    assert run_of(racing).attempt == 1


def test_another_signal_that_comes_while_it_leaves_only_makes_it_look_again(racing: Racing, effects: Effects) -> None:
    racing.before_end.append(lambda: send(racing, "1", name="other", id="other"))
    with pytest.raises(Waiting):
        approving(effects).run(store=racing)
    assert run_of(racing).status is RunStatus.WAITING


def test_a_signal_that_comes_while_the_time_is_up_is_not_lost(racing: Racing, effects: Effects) -> None:
    racing.before_timeout.append(lambda: send(racing))
    assert approving(effects, timeout="20ms", hold="1s").run(store=racing) == RECEIVED


def test_a_signal_between_the_end_of_the_wait_and_the_count_of_the_attempt_is_not_lost(
    racing: Racing, effects: Effects
) -> None:
    """The worker has left, nobody has counted its end, the signal makes the run Pending: it is started again."""
    approve = approving(effects)
    ended = Racing.end_run

    def end_then_signal(fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
        outcome = ended(racing, fence, write, end)
        if end.status is RunStatus.WAITING:
            send(racing)
        return outcome

    racing.end_run = end_then_signal  # type: ignore[method-assign]
    with pytest.raises(Waiting):
        approve.run(store=racing)
    assert run_of(racing).status is RunStatus.PENDING
    assert approve.run(store=racing) == RECEIVED


def test_what_another_wait_of_the_attempt_has_read_does_not_count_for_this_one(store: SqlStore) -> None:
    """Two at the same time: the signal for `a` comes after `a` has looked, and before `b` does."""
    attempt = begin(store)
    a, b = (SignalWait(attempt, StepOptions(), name, int, hold="0s") for name in ("a", "b"))
    for wait in (a, b):
        assert wait.enter() is None
        wait.begin()
    assert a.look() is None
    send(store, "1", name="a", run="r")
    assert b.look() is None
    assert b.look() is None
    leaving = united([a.waiting(), b.waiting()], now=attempt.now())
    assert leaving.end is not None
    assert leaving.end.wake_on == ("a", "b")
    assert attempt.end(leaving.end) is False, "the run does not wait for a signal that is there"
    assert a.look() == Replayed(Received(1, "ann", store.list_signals("r")[0].sent, "1"))


def test_a_wait_among_the_items_of_a_map_lets_the_others_finish(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def mapped(j: Job) -> list[int]:
        def work(item: int) -> int:
            if item == 0:
                return j.wait("number", int, hold="0s").payload
            wait_for(lambda: bool(store.list_steps("j")), "the wait of the other item")
            effects.append(f"done {item}")
            return item

        return j.map("work", work, [0, 1, 2], concurrency=2)

    with pytest.raises(Waiting):
        mapped.run(store=store)
    assert sorted(effects) == ["done 1", "done 2"]
    assert run_of(store).wake_on == ("number",)
    send(store, "7", name="number")
    assert mapped.run(store=store) == [7, 1, 2]
    assert sorted(effects) == ["done 1", "done 2"]


def test_a_renamed_wait_keeps_its_deadline_and_leaves_nothing_behind(store: SqlStore) -> None:
    @job("j")
    def before(j: Job) -> None:
        j.wait("reply", int, timeout="1h", hold="0s")

    @job("j")
    def after(j: Job) -> int:
        return j.options(renamed_from="reply").wait("answer", int, timeout="1h", hold="0s").payload

    with pytest.raises(Waiting):
        before.run(store=store)
    deadline = run_of(store).wake_at
    send(store, "0", name="reply", id="wakes")
    with pytest.raises(Waiting):
        after.run(store=store)
    assert run_of(store).wake_at == deadline
    send(store, "8", name="answer")
    assert after.run(store=store) == 8
    assert [step.name for step in store.list_steps("j")] == ["answer"]


def test_what_the_payload_holds_is_saved_before_it_leaves(store: SqlStore) -> None:
    @job("j")
    def with_payload(j: Job) -> int:
        if "customer" not in j.payload:
            j.payload["customer"] = 7
        j.wait("approval", Approval, hold="0s")
        return int(j.payload["customer"])

    with pytest.raises(Waiting):
        with_payload.run(store=store)
    assert run_of(store).payload == Encoded("json", b'{"customer":7}')
    send(store)
    assert with_payload.run(store=store) == 7


def test_leaving_to_wait_can_not_be_swallowed(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def stubborn(j: Job) -> None:
        try:
            j.wait("approval", Approval, hold="0s")
        except BaseException:  # noqa: BLE001 - what it must withstand
            effects.append("swallowed")

    with pytest.raises(Waiting):
        stubborn.run(store=store)
    assert run_of(store).status is RunStatus.WAITING


# Sleep


def test_a_long_sleep_needs_no_process_and_goes_on_in_time(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def rest(j: Job) -> str:
        j.step("before", effects.of("before"))
        j.sleep("cool-down", "300ms", hold="0s")
        return "rested"

    with pytest.raises(Waiting, match="step cool-down sleeps until "):
        rest.run(store=store)
    run = run_of(store)
    assert (run.status, run.reason, run.wake_on) == (RunStatus.WAITING, "TimerWait", ())
    with pytest.raises(Waiting, match=r"run 'j' waits until .* UTC; start it again then"):
        rest.run(store=store)
    wake_at = run.wake_at
    assert wake_at is not None
    wait_for(lambda: store.info().now >= wake_at, "the time to go on")
    assert rest.run(store=store) == "rested"
    assert effects == ["before"]
    assert [step.status for step in store.list_steps("j")] == [StepStatus.DONE] * 2


def test_a_short_sleep_is_slept_in_the_process(store: SqlStore) -> None:
    @job("j")
    def rest(j: Job) -> None:
        j.sleep("nap", timedelta(milliseconds=60))

    began = store.info().now
    rest.run(store=store)
    assert store.info().now - began >= timedelta(milliseconds=60)
    assert run_of(store).attempt == 1


def test_a_moment_that_has_come_is_not_waited_for(store: SqlStore) -> None:
    @job("j")
    def rest(j: Job) -> None:
        j.sleep_until("epoch", datetime(2020, 1, 1, tzinfo=UTC))

    rest.run(store=store)


def test_a_moment_far_away_is_on_record(store: SqlStore) -> None:
    moment = datetime(2199, 12, 31, 23, 59, tzinfo=UTC)

    @job("j")
    def rest(j: Job) -> None:
        j.sleep_until("century", moment)

    with pytest.raises(Waiting, match="2199-12-31 23:59:00 UTC"):
        rest.run(store=store)
    assert run_of(store).wake_at == moment


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda j: j.sleep("s", 5), "step 's': the duration: 5 is not a duration"),
        (lambda j: j.sleep("s", timedelta(seconds=-1)), "is a duration of 0 or more"),
        (lambda j: j.sleep_until("s", datetime(2030, 1, 1)), "says no time zone"),  # noqa: DTZ001
        (lambda j: j.wait("w", int, timeout="soon"), "step 'w': timeout=: 'soon' is not a duration"),
        (lambda j: j.wait("", int), "1 to 200 characters"),
        (lambda j: j.options(timeout="5s").wait("w", int), r"not timeout= \(give timeout= to wait itself\)"),
        (lambda j: j.options(retry=Retry()).sleep("s", "1s"), "the options key= and renamed_from=, not retry="),
    ],
)
def test_what_can_not_be_waited_for_is_refused(store: SqlStore, call: Callable[[Job], object], message: str) -> None:
    @job("j")
    def wrong(j: Job) -> None:
        call(j)

    with pytest.raises(InvalidStep, match=message):
        wrong.run(store=store)


def test_one_signal_is_taken_by_one_of_two_runs_waits_only_in_its_own_run(tmp_path: Path, effects: Effects) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/state.db")
    approve = approving(effects)
    for run_id in ("a", "b"):
        with pytest.raises(Waiting):
            approve.run(id=run_id, store=store)
    send(store, run="a")
    assert approve.run(id="a", store=store) == RECEIVED
    assert run_of(store, "b").status is RunStatus.WAITING
    store.close()


def test_a_stop_that_is_asked_for_while_it_is_held_interrupts(store: SqlStore, effects: Effects) -> None:
    running = approving(effects, hold="60s").start(store=store)
    wait_for(lambda: any(step.name == "approval" for step in store.list_steps("j")), "the wait")
    threading.Thread(target=running.stop).start()
    with pytest.raises(BaseException, match=r"stop\(\) was called"):
        running.result(timeout=30)
    assert run_of(store).status is RunStatus.INTERRUPTED
    send(store)
    assert approving(effects).run(store=store) == RECEIVED


def test_of_many_signals_that_race_with_attempts_that_leave_none_is_lost_and_none_taken_twice(tmp_path: Path) -> None:
    """Each signal is sent on another connection at the moment when its wait has begun and the worker is leaving."""
    url = f"sqlite:///{tmp_path}/state.db"
    store, sender = SqlStore(url), SqlStore(url)
    count = 40

    @job("j")
    def reader(j: Job) -> list[int]:
        return [j.options(key=n).wait("number", int, hold="0s").payload for n in range(count)]

    def send_all() -> None:
        wait_for(lambda: waits_at(0) and run_of(sender).status is RunStatus.WAITING, "the first time to leave")
        for n in range(count):
            end = time.monotonic() + 60
            while not waits_at(n) and time.monotonic() < end:  # as soon as it has begun, and is about to leave
                pass
            send(sender, str(n), id=f"id-{n}", name="number")

    def waits_at(n: int) -> bool:
        return any(step.key == str(n) for step in sender.list_steps("j"))

    sending = threading.Thread(target=send_all)
    sending.start()
    left = 0
    while True:
        try:
            received = reader.run(store=store)
            break
        except Waiting:
            left += 1
            wait_for(lambda: run_of(store).status is RunStatus.PENDING, "a signal to wake the run")
    sending.join()
    assert received == list(range(count))
    assert left > 0
    assert all(signal.consumed_by for signal in store.list_signals("j"))
    store.close()
    sender.close()
