"""The types that JSON carries: what msgspec knows, pydantic models and paths."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import msgspec

from resumable.sdk.annotations import readable_type
from resumable.sdk.codec.unstorable import Unstorable

_MOST_REMEMBERED = 512


def _encode_hook(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if _is_pydantic(type(value)):  # a model, without importing pydantic; not what it computes from its other fields
        return msgspec.Raw(value.model_dump_json(round_trip=True).encode())
    raise Unstorable(value)


def decode_hook(annotation: type, value: Any) -> Any:
    """For types that msgspec doesn't know: paths and pydantic models."""
    if isinstance(annotation, type) and issubclass(annotation, PurePath) and isinstance(value, str):
        return Path(value) if annotation is Path else annotation(value)
    if _is_pydantic(annotation):
        return annotation.model_validate(value)  # type: ignore[attr-defined]
    raise NotImplementedError(f"{readable_type(annotation)} can't be made from JSON")


def _stored_hook(annotation: type, value: Any) -> Any:
    """As `decode_hook`, for what `encoder` has written: by the fields' names, as JSON also where a model is strict."""
    if not _is_pydantic(annotation):
        return decode_hook(annotation, value)
    model: Any = annotation
    data = msgspec.json.encode(value)
    try:
        return model.model_validate_json(data, by_alias=False, by_name=True)
    except TypeError:  # before pydantic 2.11: aliases are what it goes by, unless the model says populate_by_name
        return model.model_validate_json(data)


def _is_pydantic(kind: type) -> bool:
    return hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_dump_json")


encoder = msgspec.json.Encoder(enc_hook=_encode_hook)

plain_from_json = msgspec.json.Decoder().decode

_decoders: OrderedDict[Any, Callable[[bytes], Any]] = OrderedDict({Any: plain_from_json})


def from_json(data: bytes, annotation: Any) -> Any:
    """The value as the annotation says. Raises what msgspec raises, and what an author's type raises."""
    try:
        decode = _decoders.get(annotation)
    except TypeError:  # an annotation that can't be a key, such as Annotated[int, []]
        return _decoder(annotation)(data)
    if decode is None:
        decode = _decoder(annotation)
        _decoders[annotation] = decode
        if len(_decoders) > _MOST_REMEMBERED:  # annotations that are made anew in each call
            _decoders.popitem(last=False)
    return decode(data)


def _decoder(annotation: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(annotation, dec_hook=_stored_hook).decode
