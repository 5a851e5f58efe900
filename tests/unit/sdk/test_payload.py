"""The payload that all steps share, on a real SQLite; each `run` is one attempt."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypedDict

import msgspec
import pytest

from resumable import Interrupted, Job, JobDefinitionError, StepContext, UnreadableResult, UnstorableResult, job
from resumable.state.outcome import WriteOutcome
from resumable.state.record import Encoded, Fence, StepStatus, Write
from resumable.state.sql.store import SqlStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Boom(Exception):
    pass


@dataclass
class Customer:
    id: int


class Progress(TypedDict, total=False):
    customer: Customer
    paid: Decimal
    paid_at: datetime


def stored(store: SqlStore) -> Any:
    run = store.get_run("j")
    assert run is not None
    return None if run.payload is None else msgspec.json.decode(run.payload.data)


class Counting(SqlStore):
    """Counts the writes that store a payload by itself."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        self.alone = 0

    def save_payload(self, fence: Fence, write: Write, payload: Encoded) -> WriteOutcome:
        self.alone += 1
        return super().save_payload(fence, write, payload)


@pytest.fixture
def counting() -> Iterator[Counting]:
    store = Counting()
    yield store
    store.close()


def test_it_is_stored_by_the_write_of_a_result_or_a_cursor_and_by_no_other(counting: Counting) -> None:
    seen: list[Any] = []

    def load(step: StepContext[int], payload: dict[str, Any]) -> None:
        payload["rows"] = 10
        step.save(1)
        seen.append(stored(counting))
        payload["rows"] = 20

    @job("j")
    def work(j: Job) -> None:
        j.payload["customer"] = 7
        j.step("create", int)
        seen.append(stored(counting))
        j.step("load", load, j.payload)
        seen.append(stored(counting))
        j.step("unchanged", int)

    work.run(store=counting)
    assert seen == [{"customer": 7}, {"customer": 7, "rows": 10}, {"customer": 7, "rows": 20}]
    assert counting.alone == 0


def test_what_changed_after_the_last_step_is_stored_at_the_end(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        j.payload["last"] = True

    work.run(store=store)
    assert stored(store) == {"last": True}


def test_an_interruption_stores_it(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        j.payload["customer"] = 7
        j._attempt.interruption.ask("SIGTERM")
        j.stop_if_asked()

    with pytest.raises(Interrupted):
        work.run(store=store)
    assert stored(store) == {"customer": 7}


def test_a_step_that_fails_stores_nothing_of_it(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        def fail() -> None:
            j.payload["half"] = "done"
            raise Boom

        j.step("fail", fail)

    with pytest.raises(Boom):
        work.run(store=store)
    assert stored(store) is None


def test_a_payload_that_is_too_large_fails_the_step_that_ends_and_names_the_value(store: SqlStore) -> None:
    @job("j", max_payload_bytes=100)
    def work(j: Job) -> None:
        def gather() -> None:
            j.payload["small"] = 1
            j.payload["a"], j.payload["b"] = "x" * 60, "y" * 50

        j.step("gather", gather)

    with pytest.raises(
        UnstorableResult,
        match=r"the payload is 1\d\d bytes of JSON, 'a' alone 62; the limit is 100 \(max_payload_bytes=",
    ):
        work.run(store=store)
    (step,) = store.list_steps("j")
    assert step.status is StepStatus.FAILED


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ids", {1, 2}, r"the payload: 'ids' \(set\) would come back changed, as plain JSON"),
        ("customer", Customer(1), r"the payload: 'customer' \(.*Customer\) would come back changed"),
        ("thing", object(), r"the payload: 'thing' is a object, which can't be stored"),
        (5, 1, r"the payload: its names are texts, not 5"),
    ],
)
def test_a_value_that_would_come_back_changed_is_refused_by_name(
    store: SqlStore, name: Any, value: Any, message: str
) -> None:
    @job("j")
    def work(j: Job) -> None:
        j.payload[name] = value
        j.step("s", int)

    with pytest.raises(UnstorableResult, match=message):
        work.run(store=store)


def test_a_value_that_was_put_right_is_stored_by_the_next_write(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        j.payload["ids"] = {1}
        with pytest.raises(UnstorableResult):
            j.step("refused", int)
        j.payload["ids"] = [1]
        j.step("taken", int)
        assert stored(store) == {"ids": [1]}

    work.run(store=store)


def test_a_typed_dict_gives_the_values_their_types_in_each_attempt(store: SqlStore) -> None:
    @job("j")
    def work(j: Job, fail: bool) -> None:
        progress = j.payload.typed(Progress)
        if fail:
            progress["customer"], progress["paid"], progress["paid_at"] = Customer(7), Decimal("9.90"), NOON
            j.payload["other"] = [1]
            j.step("s", int)
            raise Boom
        assert progress == {"customer": Customer(7), "paid": Decimal("9.90"), "paid_at": NOON, "other": [1]}

    with pytest.raises(Boom):
        work.run({"fail": True}, store=store)
    work.run({"fail": False}, store=store)


def test_a_typed_value_that_does_not_fit_is_refused(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        progress = j.payload.typed(Progress)
        progress["paid_at"] = "yesterday"  # type: ignore[typeddict-item]
        j.step("s", int)

    with pytest.raises(UnstorableResult, match="the payload: 'paid_at' is annotated datetime"):
        work.run(store=store)


def test_a_stored_value_that_does_not_fit_its_new_type_is_said_so(store: SqlStore) -> None:
    @job("j")
    def work(j: Job, typed: bool) -> None:
        if typed:
            j.payload.typed(Progress)
        j.payload["paid_at"] = "yesterday"
        j.step("s", int)
        raise Boom

    with pytest.raises(Boom):
        work.run({"typed": False}, store=store)
    with pytest.raises(UnreadableResult, match=r"the payload: 'paid_at' was stored .* doesn't fit datetime"):
        work.run({"typed": True}, store=store)


def test_only_a_typed_dict_can_give_types(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        j.payload.typed(Customer)

    with pytest.raises(JobDefinitionError, match=r"typed\(\) takes a TypedDict, not <class"):
        work.run(store=store)
