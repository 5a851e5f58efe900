"""What is stored comes back as the same, type and all, or is refused at once."""

import dataclasses
import enum
import math
import re
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from resumable.sdk import codec
from resumable.sdk.errors import UnstorableResult
from resumable.state.record import Encoded

BERLIN = ZoneInfo("Europe/Berlin")


def round_trip(value: Any, annotation: Any) -> Any:
    return codec.decode(codec.encode(value, annotation, of="x"), annotation, of="x")


def stored_or_refused(value: Any, annotation: Any) -> tuple[Encoded | None, str]:
    try:
        return codec.encode(value, annotation, of="x"), ""
    except UnstorableResult as error:
        return None, str(error)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Colour(enum.StrEnum):
    RED = "red"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float


class Row(TypedDict, total=False):
    id: int
    at: datetime


@dataclass
class Base:
    id: int


@dataclass
class Derived(Base):
    extra: int = 0


@dataclass
class Counted:
    id: int
    count: int = dataclasses.field(init=False, default=0)
    note: str = dataclasses.field(default="", compare=False)

    @cached_property
    def double(self) -> int:
        return self.id * 2


@define
class Attrs:
    id: int
    when: date | None = None


class Struct(msgspec.Struct, tag=True):
    id: int
    price: Decimal = Decimal(0)


class Other(msgspec.Struct, tag=True):
    name: str


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")

    born: date
    number: int = pydantic.Field(alias="Number")
    tags: frozenset[str] = frozenset()
    _seen: int = pydantic.PrivateAttr(default=0)

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def year(self) -> int:
        return self.born.year


class Mapped(pydantic.RootModel[dict[str, int]]):
    pass


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")


def counted() -> Counted:
    value = Counted(1)
    value.count = 9
    return value


scalars: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (type(None), st.none()),
    (bool, st.booleans()),
    (int, st.integers()),
    (float, st.floats()),
    (str, st.text()),
    (bytes, st.binary()),
    (Decimal, st.decimals()),
    (UUID, st.uuids()),
    (date, st.dates()),
    (time, st.times()),
    (time, st.times(timezones=st.just(UTC))),
    (timedelta, st.timedeltas()),
    (datetime, st.datetimes()),
    (datetime, st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))),
    (datetime, st.datetimes(timezones=st.timezones())),
    (Path, st.text().map(lambda text: Path(text.replace("\0", "")))),
    (PurePosixPath, st.text(alphabet="a/b.").map(PurePosixPath)),
    (Level, st.sampled_from(Level)),
    (Colour, st.sampled_from(Colour)),
    (Rights, st.sampled_from([*Rights, Rights.READ | Rights.WRITE, Rights(0)])),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Point, st.builds(Point, st.integers(), st.floats())),
    (Row, st.fixed_dictionaries({}, optional={"id": st.integers(), "at": st.datetimes()})),
    (Base, st.builds(Base, st.integers())),
    (Counted, st.builds(Counted, st.integers(), note=st.text())),
    (Attrs, st.builds(Attrs, st.integers(), st.none() | st.dates())),
    (Struct | Other, st.builds(Struct, st.integers(), st.decimals()) | st.builds(Other, st.text())),
    (Model, st.builds(Model, born=st.dates(), Number=st.integers(), tags=st.frozensets(st.text()))),
    (Mapped, st.builds(Mapped, st.dictionaries(st.text(), st.integers()))),
]


def composed(inner: tuple[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]:
    kind: Any
    kind, values = inner
    return st.sampled_from(
        [
            (list[kind], st.lists(values)),
            (tuple[kind, ...], st.lists(values).map(tuple)),
            (tuple[kind, int], st.tuples(values, st.integers())),
            (dict[str, kind], st.dictionaries(st.text(), values)),
            (dict[int, kind], st.dictionaries(st.integers(), values)),
            (kind | None, st.none() | values),
            (Sequence[kind], st.lists(values)),
            (Mapping[str, kind], st.dictionaries(st.text(), values)),
        ]
    )


kinds = st.recursive(st.sampled_from(scalars), lambda inner: inner.flatmap(composed), max_leaves=4)


@given(st.data())
@settings(max_examples=600, deadline=None)
def test_a_value_comes_back_as_it_was_or_is_refused(data: st.DataObject) -> None:
    kind, values = data.draw(kinds)
    value = data.draw(values)
    encoded, refusal = stored_or_refused(value, kind)
    if encoded is None:
        assert re.search("JSON has no nan|not with the rules of its zone", refusal)
        return
    back = codec.decode(encoded, kind, of="x")
    assert type(back) is type(value)
    assert repr(back) == repr(value) or back == value  # NaN equals nothing, and sets have no order


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(plain)
def test_plain_json_is_never_refused(value: Any) -> None:
    assert repr(round_trip(value, Any)) == repr(value)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (datetime(2026, 1, 1), datetime),  # naive: stays naive  # noqa: DTZ001
        (datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")), datetime),  # as database drivers make it
        (Decimal("1.50"), Decimal),
        (Counted(1, note="kept though == doesn't look at it"), Counted),
        (counted(), Counted),
        (Decimal("sNaN"), Decimal),
        (Attrs(1, date(2026, 1, 1)), Attrs),
        (Other("a"), Struct | Other),
        (Model(born=date(2000, 1, 1), Number=5), Model),
        ([Mapped({"a": 1})], list[Mapped]),
        (Open(a=1), Open),  # type: ignore[call-arg]
        ({"a": {1: Path("a")}}, dict[str, dict[int, Path]]),
        (-0.0, float),
        (Rights.READ | Rights.WRITE, Rights),
    ],
)
def test_kept_to_the_last_detail(value: Any, annotation: Any) -> None:
    back = round_trip(value, annotation)
    assert repr(back) == repr(value) or back == value


def test_a_whole_number_may_stand_where_the_annotation_says_float() -> None:
    assert round_trip([1, 2.5], list[float]) == [1, 2.5]
    with pytest.raises(UnstorableResult, match="would come back changed"):
        codec.encode(2**53 + 1, float, of="x")


class Rules(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, when: datetime | None) -> str:
        return "RUL"


def seen() -> Model:
    value = Model(born=date(2000, 1, 1), Number=5)
    value._seen = 3
    return value


CHANGED: list[tuple[Any, Any, str]] = [
    ([1, (2, 3)], list[Any], r"at \[1\]: the tuple \(2, 3\) would be the list"),
    ({"a": {"b": {1}}}, dict[str, Any], r"at \['a'\]\['b'\]: the set"),
    (Derived(1, 2), Base, "Derived.* would be the .*Base"),
    ({"id": 1, "more": 2}, Row, r"at \['more'\]: the int 2 would be lost"),
    (Level.LOW, int, r"Level.* would be the int 1; annotate the type that is really returned"),
    (Level.LOW, Any, "Level.* would be the int 1; it has no annotation"),
    (OrderedDict(a=1), Any, r"return dict\(value\)"),
    (defaultdict(int, a=1), dict[str, int], r"return dict\(value\)"),
    (bytearray(b"a"), bytes, "the bytearray .* would be the bytes"),
    (math.nan, float | None, "JSON has no nan"),
    ([1.0, math.inf], Any, r"at \[1\]: the float inf .*JSON has no nan and no infinity"),
    (datetime(2026, 7, 1, tzinfo=BERLIN), datetime, r"rules of its zone: return value\.astimezone\(UTC\)"),
    (datetime(2026, 7, 1, tzinfo=Rules()), datetime, r"return value\.astimezone\(UTC\)"),
    (seen(), Model, "at ._seen: the int 3 would be the int 0"),
    ((1, 2), list[int] | None, "the tuple .* would be the list"),
    ({1: "a"}, dict[Any, Any], r"annotate what is returned with the type of its keys, as in dict\[int, str\]"),
]


@pytest.mark.parametrize(("value", "annotation", "said"), CHANGED)
def test_what_would_come_back_as_something_else_is_refused_and_the_place_is_named(
    value: Any, annotation: Any, said: str
) -> None:
    with pytest.raises(UnstorableResult, match=f"^step 's': the result .* would come back changed.*{said}"):
        codec.encode(value, annotation, of="step 's': the result")


def test_what_an_object_remembers_beside_its_fields_does_not_count() -> None:
    value = Counted(1)
    assert value.double == 2
    assert round_trip(value, Counted) == value
