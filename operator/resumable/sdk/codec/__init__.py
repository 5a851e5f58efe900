"""An author's values as JSON, and back as the type that the annotation says.

What msgspec knows is stored as it is (dataclasses, attrs, TypedDict, NamedTuple, datetime, Decimal, UUID, bytes,
enums, sets, tuples), pydantic models and paths too. A value is read back at once when it is stored: an annotation
that is wrong would else be noticed only by the attempt that has to resume, when the work is already lost. Without an
annotation only what JSON keeps as it is can be stored; a tuple would come back as a list.
"""

from resumable.sdk.codec.encoding import DEFAULT_LIMIT, JSON, decode, encode, encode_unchecked, json_of, shown, to_json
from resumable.sdk.codec.encryption import keyring
from resumable.sdk.codec.json_types import decode_hook, encoder
from resumable.sdk.codec.sealing import seal

__all__ = [
    "DEFAULT_LIMIT",
    "JSON",
    "decode",
    "decode_hook",
    "encode",
    "encode_unchecked",
    "encoder",
    "json_of",
    "keyring",
    "seal",
    "shown",
    "to_json",
]
