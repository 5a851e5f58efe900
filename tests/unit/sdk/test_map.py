"""`j.map`: items as steps in threads, on a real SQLite in memory; each `run` is one attempt."""

import contextvars
import threading
import time
from collections.abc import Callable

import msgspec
import pytest

from resumable import DuplicateStep, Interrupted, InvalidStep, Job, JobDefinition, StepContext, StepFailed, job
from resumable.sdk.payload import Payload
from resumable.sdk.retry import Retry
from resumable.state.outcome import WriteOutcome
from resumable.state.record import Encoded, Fence, RunStatus, StepStatus, Write
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep
from tests.unit.sdk.effects import Effects
from tests.unit.sdk.worker import status

PATIENCE = 20.0


class Boom(Exception):
    pass


class Item:
    def __init__(self, id: int) -> None:
        self.id = id


def test_results_come_in_the_order_of_the_items(store: SqlStore) -> None:
    second_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_is_done.wait(PATIENCE)
        else:
            second_is_done.set()
        return item * 10

    @job("j")
    def mapped(j: Job) -> list[int]:
        return j.map("work", work, [0, 1, 2])

    assert mapped.run(store=store) == [0, 10, 20]
    assert [(step.name, step.key, step.ordinal) for step in store.list_steps("j")] == [
        ("work", "0", 1),
        ("work", "1", 2),
        ("work", "2", 3),
    ]


def test_so_many_run_at_a_time_and_no_more(store: SqlStore) -> None:
    together = threading.Barrier(3)
    running: list[int] = []
    most: list[int] = []

    def work(item: int) -> None:
        running.append(item)
        most.append(len(running))
        together.wait(PATIENCE)
        running.remove(item)

    @job("j")
    def mapped(j: Job) -> None:
        j.map("work", work, range(9), concurrency=3)

    mapped.run(store=store)
    assert max(most) == 3


def test_an_interruption_in_the_middle_keeps_the_finished_and_the_running_come_to_their_end(
    store: SqlStore, effects: Effects
) -> None:
    """Item 1 finishes after the stop was asked for, item 2 leaves at its safe point, 3 and more are not started."""
    both_run = threading.Barrier(2)
    leaving = threading.Event()

    def work(step: StepContext[int], item: int) -> int:
        if item == 0 or step.cursor is not None or "2 left" in effects:
            effects.append(f"{item} done from {step.cursor}")
            return item
        both_run.wait(PATIENCE)
        if item == 1:
            step._interruption.ask("SIGTERM")
            assert leaving.wait(PATIENCE)
            effects.append("1 done after it was asked to leave")
            return item
        while not step.stopping:
            time.sleep(0.001)
        step.save(7)
        effects.append("2 left")
        try:
            step.stop_if_asked()
        finally:
            leaving.set()
        raise AssertionError("not reached")

    @job("j")
    def mapped(j: Job) -> list[int]:
        return j.map("work", work, range(5), concurrency=2)

    with pytest.raises(Interrupted):
        mapped.run(store=store)
    assert effects == ["0 done from None", "2 left", "1 done after it was asked to leave"]
    assert status(store, "j") is RunStatus.INTERRUPTED
    done = [step.key for step in store.list_steps("j") if step.status is StepStatus.DONE]
    assert done == ["0", "1"]
    assert mapped.run(store=store) == [0, 1, 2, 3, 4]
    assert sorted(effects[3:]) == ["2 done from 7", "3 done from None", "4 done from None"]


def test_an_error_starts_no_other_item_and_what_runs_is_kept(store: SqlStore, effects: Effects) -> None:
    failed = threading.Event()

    def work(item: int) -> int:
        if item == 0 and not effects:
            effects.append("0 failed")
            failed.set()
            raise Boom("bad item")
        if item == 1:
            assert failed.wait(PATIENCE)
            time.sleep(0.05)
        effects.append(f"{item} done")
        return item

    @job("j")
    def mapped(j: Job) -> list[int]:
        return j.map("work", work, range(4), concurrency=2)

    with pytest.raises(Boom, match="bad item"):
        mapped.run(store=store)
    assert effects == ["0 failed", "1 done"]
    assert mapped.run(store=store) == [0, 1, 2, 3]
    assert sorted(effects[2:]) == ["0 done", "2 done", "3 done"]


def tolerant(effects: Effects, tolerate: int) -> JobDefinition[..., list[str]]:
    def work(item: int) -> int:
        effects.append(f"{item}")
        if item % 2:
            raise Boom(f"odd {item}")
        return item

    @job("j")
    def mapped(j: Job) -> list[str]:
        results = j.map("work", work, range(6), concurrency=1, tolerate=tolerate)
        return [r.error.split(" (")[0] if isinstance(r, StepFailed) else str(r) for r in results]

    return mapped


def test_tolerated_failures_stand_in_their_places_and_are_final(store: SqlStore, effects: Effects) -> None:
    mapped = tolerant(effects, 3)
    boom = f"{Boom.__module__}.Boom: odd"
    assert mapped.run(store=store) == ["0", f"{boom} 1", "2", f"{boom} 3", "4", f"{boom} 5"]
    assert effects == ["0", "1", "2", "3", "4", "5"]
    assert [step.key for step in store.list_steps("j") if step.status is StepStatus.FAILED] == ["1", "3", "5"]


def test_one_more_than_is_tolerated_fails(store: SqlStore, effects: Effects) -> None:
    with pytest.raises(StepFailed, match=r"step work\[5\] failed for good: .*odd 5"):
        tolerant(effects, 2).run(store=store)


def test_each_item_is_tried_again_by_the_policy(store: SqlStore, effects: Effects) -> None:
    def work(item: int) -> int:
        effects.append(f"{item}")
        if effects.count(f"{item}") < 3:
            raise Boom
        return item

    @job("j")
    def mapped(j: Job) -> list[int]:
        patient = j.options(retry=Retry(max_attempts=3, initial="1ms"))
        return patient.map("work", work, range(3), concurrency=2)

    assert mapped.run(store=store) == [0, 1, 2]
    assert sorted(effects) == sorted(["0", "1", "2"] * 3)


def test_keys_come_from_the_items_or_from_a_function(store: SqlStore) -> None:
    @job("j")
    def mapped(j: Job) -> list[int]:
        j.map("texts", len, ["a", "bc"])
        return j.map("objects", lambda item: item.id, [Item(7), Item(8)], key=lambda item: f"i-{item.id}")

    assert mapped.run(store=store) == [7, 8]
    assert [step.key for step in store.list_steps("j")] == ["a", "bc", "i-7", "i-8"]


def test_no_items_are_no_steps(store: SqlStore) -> None:
    @job("j")
    def mapped(j: Job) -> list[int]:
        return j.map("work", len, [])

    assert mapped.run(store=store) == []
    assert store.list_steps("j") == ()


async def fetch(item: str) -> int:
    return 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda j: j.map("m", id, [Item(1)]), InvalidStep, "what tells its items apart"),
        (lambda j: j.map("m", len, ["a", "a"]), DuplicateStep, "met twice with the key 'a'"),
        (lambda j: j.map("m", len, ["a"], concurrency=0), InvalidStep, "a number of threads, 1 or more, not 0"),
        (lambda j: j.map("m", len, ["a"], tolerate=-1), InvalidStep, "a number of items, 0 or more, not -1"),
        (lambda j: j.options(key="k").map("m", len, ["a"]), InvalidStep, "give key= to map, not to options"),
        (lambda j: j.map("m", fetch, ["a"]), InvalidStep, "is an async function"),
        (lambda j: j.map("m", len, ["a" * 201]), InvalidStep, "1 to 200 characters"),
        (lambda j: j.map("m", len, 5), InvalidStep, "its items are a list or another plain iterable, not 5"),
    ],
)
def test_what_can_not_be_mapped_is_refused_before_anything_runs(
    store: SqlStore, call: Callable[[Job], object], error: type[Exception], message: str
) -> None:
    @job("j")
    def wrong(j: Job) -> None:
        call(j)

    with pytest.raises(error, match=message):
        wrong.run(store=store)
    assert store.list_steps("j") == ()


def test_the_authors_context_variables_are_seen_by_the_items(store: SqlStore) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")

    @job("j")
    def mapped(j: Job) -> list[str]:
        tenant.set("ann")
        return j.map("work", lambda item: f"{tenant.get()} {item}", [1, 2])

    assert mapped.run(store=store) == ["ann 1", "ann 2"]


def test_the_payload_is_shared_by_the_items_and_saved_with_them(store: SqlStore) -> None:
    @job("j")
    def mapped(j: Job, fail: bool) -> int:
        def work(item: int) -> None:
            j.payload[f"item-{item}"] = item

        j.map("work", work, range(50), concurrency=8)
        if fail:
            raise Boom
        return sum(j.payload.values())

    with pytest.raises(Boom):
        mapped.run({"fail": True}, store=store)
    assert mapped.run({"fail": False}, store=store) == sum(range(50))


class Gated(SqlStore):
    """The write of item 0 waits for the test; what item 1's write carries is kept."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        self.writes_0, self.go_on = threading.Event(), threading.Event()
        self.carried: Encoded | None = None

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        if step.key == "0":
            self.writes_0.set()
            assert self.go_on.wait(PATIENCE)
        else:
            self.carried = step.payload
        return super().finish_step(fence, write, step)


def test_a_write_that_had_to_wait_carries_the_payload_as_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an older payload would overwrite what another item's write stored meanwhile."""
    store = Gated()
    at_the_lock = threading.Event()
    changed = Payload.changed

    def noted(payload: Payload) -> Encoded | None:
        read = changed(payload)
        if store.writes_0.is_set():
            at_the_lock.set()  # item 1 has read it; the write of item 0 has the lock
        return read

    monkeypatch.setattr(Payload, "changed", noted)

    @job("j")
    def mapped(j: Job) -> None:
        def work(item: int) -> None:
            j.payload[f"{item}"] = item
            if item == 1:
                assert store.writes_0.wait(PATIENCE)

        def later() -> None:
            assert at_the_lock.wait(PATIENCE)
            j.payload["late"] = 2
            store.go_on.set()

        watching = threading.Thread(target=later)
        watching.start()
        j.map("work", work, [0, 1], concurrency=2)
        watching.join()

    mapped.run(store=store)
    assert store.carried is not None
    assert msgspec.json.decode(store.carried.data) == {"0": 0, "1": 1, "late": 2}
    store.close()


def test_ten_thousand_finished_items_are_replayed_quickly_and_without_a_thread(store: SqlStore) -> None:
    threads: set[str] = set()

    def work(item: int) -> int:
        threads.add(threading.current_thread().name)
        return item

    @job("j")
    def mapped(j: Job, fail: bool) -> int:
        total = sum(j.map("work", work, range(10_000), concurrency=16))
        if fail:
            raise Boom
        return total

    with pytest.raises(Boom):
        mapped.run({"fail": True}, store=store)
    assert {name.rsplit("-", 1)[0] for name in threads} == {"resumable-map-work"}
    threads.clear()
    began = time.process_time()
    assert mapped.run({"fail": False}, store=store) == sum(range(10_000))
    assert time.process_time() - began < 2.0
    assert threads == set()
