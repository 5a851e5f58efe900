"""The types that JSON carries: what msgspec knows, pydantic models and paths."""

from pathlib import Path, PurePath
from typing import Any

import msgspec

from resumable.sdk.annotations import readable_type
from resumable.sdk.codec.unstorable import hint, type_name


def _encode_hook(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    as_json = getattr(value, "model_dump_json", None)  # a pydantic model, without importing pydantic
    if as_json is not None:
        return msgspec.Raw(as_json().encode())
    raise NotImplementedError(f"{type_name(value)} is none of the types that JSON and msgspec know{hint(value)}")


def decode_hook(annotation: type, value: Any) -> Any:
    """For types that msgspec doesn't know: paths and pydantic models."""
    if isinstance(annotation, type) and issubclass(annotation, PurePath) and isinstance(value, str):
        return Path(value) if annotation is Path else annotation(value)
    validate = getattr(annotation, "model_validate", None)
    if validate is not None:
        return validate(value)
    raise NotImplementedError(f"{readable_type(annotation)} can't be made from JSON")


encoder = msgspec.json.Encoder(enc_hook=_encode_hook)


def from_json(data: bytes, annotation: Any) -> Any:
    """The value as the annotation says. Raises what msgspec raises, and what an author's type raises."""
    return msgspec.json.decode(data, type=annotation, dec_hook=decode_hook)
