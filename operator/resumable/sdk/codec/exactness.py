"""Whether a value that was read back is the one that was stored: equal, and of the same types all the way down.

Equality alone is not enough: `True == 1 == 1.0`, a subclass equals its base, and a field that a dataclass leaves out of
its comparison may be lost. The one thing that is let through is what the type system lets through (PEP 484): an `int`
where the annotation says `float` comes back as the float of the same value.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

Parts: TypeAlias = Iterable[tuple[str, Any]]

# Their `==` tells all there is to tell, if the types are the same.
_PLAIN = frozenset({int, str, bool, type(None), bytes})
_PLAIN_OR_FLOAT = _PLAIN | {float}
_UTC_ZONES = frozenset({"UTC", "Etc/UTC", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal"})


@dataclass(frozen=True, slots=True)
class Difference:
    """Where and how the two differ."""

    path: str  # inside the value: "[3].price"; "" is the value itself
    stored: Any
    back: Any
    advice: str = ""  # "" when only a better annotation helps


class Nothing:
    """In place of a value that didn't come back."""


def difference(value: Any, back: Any, path: str = "") -> Difference | None:
    """The first difference; None: what comes back is what was stored."""
    kind = type(value)
    if kind is not type(back):
        if kind is int and type(back) is float and value == back:  # exact: Python compares the numbers, not the floats
            return None
        return Difference(path, value, back)
    if kind in _PLAIN:
        return None if value == back else Difference(path, value, back)
    if kind is float:
        return _of_floats(value, back, path)
    if kind is datetime or kind is time:
        return _of_times(value, back, path)
    if kind in (list, tuple) and _alike(value, back):
        return None
    if isinstance(value, (set, frozenset)):
        return _of_sets(value, back, path)
    if isinstance(value, dict):
        return _of_dicts(value, back, path)
    if (parts := parts_of(value)) is not None:
        return _of_parts(parts, parts_of(back) or (), path)
    if kind is Decimal:  # 1.0 equals 1.00, and NaN nothing
        return None if repr(value) == repr(back) else Difference(path, value, back)
    return None if value == back else Difference(path, value, back)  # UUID, date, timedelta, Path, an enum…


def parts_of(value: Any) -> list[tuple[str, Any]] | None:
    """What a list, tuple, set or an object with declared fields is made of, with what leads to it; None: it has no
    parts that are known.
    """
    if isinstance(value, (list, tuple)):
        names = getattr(value, "_fields", None)  # a NamedTuple's
        if names is not None:
            return [(f".{name}", part) for name, part in zip(names, value, strict=True)]
        return [(f"[{index}]", part) for index, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return [(f"{{{part!r:.40}}}", part) for part in value]
    if isinstance(value, dict):
        return [(f"[{key!r:.40}]", part) for key, part in value.items()]
    names = _field_names(type(value))
    if names is None:
        return None
    parts = [(f".{name}", getattr(value, name, Nothing)) for name in names]
    for more in ("__pydantic_extra__", "__pydantic_private__"):
        if extra := getattr(value, more, None):
            parts += [(f".{name}", part) for name, part in extra.items()]
    return parts


def _field_names(kind: type) -> Iterable[str] | None:
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return [attribute.name for attribute in attributes]
    if hasattr(kind, "__pydantic_validator__"):  # its model_fields; without importing pydantic
        return list(getattr(kind, "model_fields", ()))
    return None


def _alike(value: list[Any] | tuple[Any, ...], back: list[Any] | tuple[Any, ...]) -> bool:
    """The whole of a long list of plain values at the speed of C."""
    kinds = set(map(type, value))
    if not _PLAIN_OR_FLOAT.issuperset(kinds) or value != back:
        return False
    return kinds == set(map(type, back)) and (len(kinds) < 2 or list(map(type, value)) == list(map(type, back)))


def _of_parts(parts: list[tuple[str, Any]], back: Parts, path: str) -> Difference | None:
    returned = dict(back)
    for name, part in parts:
        if found := difference(part, returned.pop(name, Nothing), path + name):
            return found
    for name, part in returned.items():
        return Difference(path + name, Nothing, part)
    return None


def _of_dicts(value: dict[Any, Any], back: dict[Any, Any], path: str) -> Difference | None:
    keys = {key: key for key in back}
    for key, part in value.items():
        at = f"{path}[{key!r:.40}]"
        if key not in keys:
            return Difference(at, part, Nothing, _KEYS if type(key) is not str else "")
        if found := difference(key, keys[key], f"{path}{{key {key!r:.40}}}"):
            return found
        if found := difference(part, back[key], at):
            return found
    for key in keys.keys() - value.keys():
        return Difference(f"{path}[{key!r:.40}]", Nothing, back[key])
    return None


def _of_sets(value: "set[Any] | frozenset[Any]", back: "set[Any] | frozenset[Any]", path: str) -> Difference | None:
    parts = {part: part for part in back}
    for part in value:
        if found := difference(part, parts.pop(part, Nothing), f"{path}{{{part!r:.40}}}"):
            return found
    for part in parts:
        return Difference(f"{path}{{{part!r:.40}}}", Nothing, part)
    return None


def _of_floats(value: float, back: float, path: str) -> Difference | None:
    return None if value == back and repr(value) == repr(back) else Difference(path, value, back)


def _of_times(value: "datetime | time", back: "datetime | time", path: str) -> Difference | None:
    """The clock, the offset and the fold. A zone with rules is more than its offset of today."""
    if value.replace(tzinfo=None) != back.replace(tzinfo=None) or value.utcoffset() != back.utcoffset():
        return Difference(path, value, back, _ZONE if value.tzinfo is not None else "")
    if value.fold != back.fold:
        return Difference(path, value, back, _ZONE)
    zone = value.tzinfo
    if zone is None or type(zone) is type(back.tzinfo):
        return None
    from zoneinfo import ZoneInfo  # 3 ms that few jobs need

    if isinstance(zone, ZoneInfo) and zone.key in _UTC_ZONES:
        return None
    return Difference(path, value, back, _ZONE)


_ZONE = (
    "a time is stored with its offset, not with the rules of its zone: return value.astimezone(UTC), and the name of"
    " the zone in a field of its own"
)
_KEYS = "JSON's keys are texts; annotate what is returned with the type of its keys, as in dict[int, str]"
