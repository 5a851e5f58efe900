import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import numpy as np
import pydantic
import pytest
from sklearn.linear_model import SGDClassifier

from resumable.sdk import codec
from resumable.sdk.annotations import Unresolved
from resumable.sdk.errors import UnreadableResult, UnstorableResult
from resumable.state.record import Encoded


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


class Row(TypedDict):
    id: int


class Person(pydantic.BaseModel):
    name: str
    born: date


@dataclass
class Order:
    id: UUID
    price: Decimal
    placed: datetime
    colour: Colour = Colour.RED
    tags: frozenset[str] = frozenset()
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)


ORDER = Order(
    UUID(int=7),
    Decimal("12.50"),
    datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    tags=frozenset("ab"),
    parts={"a": (1, 2)},
)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (ORDER, Order),
        ([ORDER, ORDER], list[Order]),
        (ORDER, Order | None),
        (None, Order | None),
        ((1, "a"), tuple[int, str]),
        ({1, 2}, set[int]),
        ({1: "a"}, dict[int, str]),
        (b"\x00\xff", bytes),
        (Decimal("0.1"), Decimal),
        (timedelta(seconds=1.5), timedelta),
        (Colour.RED, Colour),
        (Point(1, 2), Point),
        ({"id": 1}, Row),
        (Path("/tmp/x"), Path),
        (Person(name="Ann", born=date(2000, 1, 1)), Person),
        ([Person(name="Ann", born=date(2000, 1, 1))], list[Person]),
        (None, type(None)),
        (2**80, int),
    ],
)
def test_comes_back_as_it_was(value: Any, annotation: Any) -> None:
    back = codec.decode(codec.encode(value, annotation, of="x"), annotation, of="x")
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [None, 1, 1.5, "ä", True, [1, [2]], {"a": {"b": []}}])
def test_plain_json_needs_no_annotation(value: Any) -> None:
    assert codec.decode(codec.encode(value, Any, of="x"), Any, of="x") == value


@pytest.mark.parametrize("value", [(1, 2), [(1, 2)], {1: "a"}, ORDER, {1, 2}, datetime(2026, 1, 1, tzinfo=UTC)])
def test_what_would_come_back_changed_is_refused_without_an_annotation(value: Any) -> None:
    with pytest.raises(
        UnstorableResult, match=r"step 's': the result .* would come back changed.*annotate what is returned"
    ):
        codec.encode(value, Any, of="step 's': the result")


def test_an_annotation_that_is_not_there_at_run_time_is_named() -> None:
    with pytest.raises(UnstorableResult, match=r"'Order' can't be found at run time"):
        codec.encode(ORDER, Unresolved("Order"), of="x")


def test_an_annotation_that_lies_is_noticed_when_the_result_is_stored_not_when_it_is_read() -> None:
    with pytest.raises(UnstorableResult, match="annotated int, but a str was returned"):
        codec.encode("5", int, of="x")


def test_a_result_over_the_limit_is_refused_with_both_sizes() -> None:
    with pytest.raises(UnstorableResult, match=r"\(str\) is 102 bytes of JSON; the limit is 50 \(max_result_bytes=\)"):
        codec.encode("a" * 100, str, of="x", limit=50, limit_name="max_result_bytes=")


@pytest.mark.parametrize("value", [np.zeros(3), SGDClassifier()])
def test_a_model_or_an_array_gets_the_hint_to_keep_it_in_a_checkpoint(value: Any) -> None:
    with pytest.raises(UnstorableResult, match=r"can't be stored.*step\.checkpoint\(\)"):
        codec.encode(value, Any, of="x")


def test_a_numpy_number_gets_the_hint_to_make_it_a_python_number() -> None:
    with pytest.raises(UnstorableResult, match=r"value\.item\(\)"):
        codec.encode(np.float32(1), float, of="x")


def test_an_object_of_no_known_type_is_named_with_its_module() -> None:
    class Thing: ...

    with pytest.raises(UnstorableResult, match=r"a .*test_codec\..*Thing, which can't be stored"):
        codec.encode(Thing(), Any, of="x")


def test_a_stored_value_that_does_not_fit_the_code_any_more_says_so() -> None:
    stored = codec.encode("text", str, of="x")
    with pytest.raises(
        UnreadableResult, match=r"step 's': the result was stored by an earlier attempt and doesn't fit int"
    ):
        codec.decode(stored, int, of="step 's': the result")


def test_an_unknown_codec_is_named() -> None:
    with pytest.raises(UnreadableResult, match="'pickle'"):
        codec.decode(Encoded("pickle", b""), int, of="x")
