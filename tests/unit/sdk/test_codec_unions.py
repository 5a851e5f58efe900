"""Unions whose members look alike in JSON."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Optional, Union
from uuid import UUID

import pydantic
import pytest

from resumable.sdk import codec
from resumable.sdk.errors import UnreadableResult, UnstorableResult


@dataclass
class Paid:
    amount: int = 0


@dataclass
class Refused:
    reason: str = ""


class Small(pydantic.BaseModel):
    size: int = 0


class Large(Small):
    more: int = 0


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Paid(5), Paid | Refused),
        (Refused("no"), Paid | Refused),
        (Refused("no"), Optional[Union[Paid, Refused]]),  # noqa: UP007, UP045
        (None, Paid | Refused | None),
        (Small(size=1), Small | Large),
        (Large(more=1), Small | Large),
        (date(2026, 1, 1), datetime | date),
        (datetime(2026, 1, 1, tzinfo=UTC), date | datetime),
        ("2026-01-01", date | str),
        (UUID(int=1), str | UUID),
        ([1], set[int] | list[int]),
        ((1, "a"), list[int] | tuple[int, str]),
        ([Paid(1)] * 1000, list[Paid] | list[Refused]),
    ],
)
def test_it_comes_back_as_the_member_that_it_was(value: Any, annotation: Any) -> None:
    stored = codec.encode(value, annotation, of="x")
    back = codec.decode(stored, annotation, of="x")
    assert back == value
    assert type(back) is type(value)
    assert stored.codec.startswith("json-tagged")


def test_a_union_that_json_tells_apart_is_stored_as_plain_json() -> None:
    assert codec.encode(1, int | str | None, of="x").codec == "json"


def test_what_is_no_member_is_refused() -> None:
    with pytest.raises(UnstorableResult, match=r"is annotated .*Paid \| .*Refused, but a str was returned"):
        codec.encode("text", Paid | Refused, of="x")


def test_a_member_that_is_gone_from_the_annotation_is_named() -> None:
    stored = codec.encode(Refused("no"), Paid | Refused, of="x")
    with pytest.raises(UnreadableResult, match="x was stored as Refused, which is none of Paid any more"):
        codec.decode(stored, Paid, of="x")
    assert codec.decode(stored, Refused, of="x") == Refused("no")


def test_deeper_inside_a_value_it_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnstorableResult, match=r"only at the top of the annotation: .*msgspec structs with tag=True"):
        codec.encode([Paid(1)], list[Paid | Refused], of="x")
