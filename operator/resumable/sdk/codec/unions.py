"""Unions whose members look alike in JSON (`Paid | Refused`, two dataclasses; `datetime | str`): which it is, is stored
with the value, by the type's name.
"""

import types
import typing
from typing import Any

import msgspec

from resumable.sdk.annotations import readable_type

TAGGED = "json-tagged"


class Tagged(msgspec.Struct, frozen=True):
    """The stored form."""

    type: str
    value: msgspec.Raw


def members(annotation: Any) -> dict[str, Any]:
    """The members of a union by their names; of anything else, itself. Names that are met twice are left out."""
    if typing.get_origin(annotation) is typing.Annotated:
        return members(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) not in (types.UnionType, typing.Union):
        return {readable_type(annotation): annotation}
    found = [(readable_type(member), member) for member in typing.get_args(annotation)]
    names = [name for name, _ in found]
    return {name: member for name, member in found if names.count(name) == 1}


def is_union(annotation: Any) -> bool:
    """Whether it has members that a value may be one of."""
    return len(members(annotation)) > 1
