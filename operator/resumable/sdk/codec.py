"""An author's values as JSON, and back as the type that the annotation says.

What msgspec knows is stored as it is (dataclasses, attrs, TypedDict, NamedTuple, datetime, Decimal, UUID, bytes,
enums, sets, tuples), pydantic models and paths too. A value is read back at once when it is stored: an annotation
that is wrong would else be noticed only by the attempt that has to resume, when the work is already lost. Without an
annotation only what JSON keeps as it is can be stored; a tuple would come back as a list.
"""

from pathlib import Path, PurePath
from typing import Any

import msgspec

from resumable.sdk.annotations import Unresolved, readable_type
from resumable.sdk.errors import UnreadableResult, UnstorableResult
from resumable.state.record import Encoded

JSON = "json"
DEFAULT_LIMIT = 1 << 20

_FILES_HINT = "; keep it in a file: step.checkpoint() inside the step, and return what finds it again"
_LARGE_VALUE_MODULES = (
    "numpy",
    "pandas",
    "sklearn",
    "scipy",
    "torch",
    "tensorflow",
    "jax",
    "polars",
    "xgboost",
    "lightgbm",
)


def encode(value: Any, annotation: Any, *, of: str, limit: int = DEFAULT_LIMIT, limit_name: str = "") -> Encoded:
    """The value as it is stored. Raises `UnstorableResult`.

    `of` names it in errors ("step 'load': the result"), `limit` is in bytes of JSON, `limit_name` says what raises it.
    """
    try:
        data = _encoder.encode(value)
    except Exception as error:
        raise UnstorableResult(f"{of} is a {_type_name(value)}, which can't be stored: {error}") from error
    if len(data) > limit:
        raise UnstorableResult(
            f"{of} ({_type_name(value)}) is {len(data):,} bytes of JSON; the limit is {limit:,}"
            f"{f' ({limit_name})' if limit_name else ''}{_FILES_HINT}"
        )
    if annotation is Any or annotation is object or isinstance(annotation, Unresolved):
        _check_plain(value, data, annotation, of)
    else:
        try:
            _decode(data, annotation)
        except Exception as error:
            raise UnstorableResult(
                f"{of} is annotated {readable_type(annotation)}, but a {_type_name(value)} was returned"
                f" that can't be read back as that: {error}"
            ) from error
    return Encoded(JSON, data)


def encode_unchecked(value: Any) -> Encoded:
    """The value as it is stored, whether or not it would come back the same. Raises what the encoder raises."""
    return Encoded(JSON, _encoder.encode(value))


def decode(encoded: Encoded, annotation: Any, *, of: str) -> Any:
    """The value again. Raises `UnreadableResult`."""
    if encoded.codec != JSON:
        raise UnreadableResult(f"{of} is stored as {encoded.codec!r}, which this version can't read")
    try:
        return _decode(encoded.data, Any if isinstance(annotation, Unresolved) else annotation)
    except Exception as error:
        raise UnreadableResult(
            f"{of} was stored by an earlier attempt and doesn't fit {readable_type(annotation)} any more: {error}"
        ) from error


def _decode(data: bytes, annotation: Any) -> Any:
    return msgspec.json.decode(data, type=annotation, dec_hook=decode_hook)


def _check_plain(value: Any, data: bytes, annotation: Any, of: str) -> None:
    if msgspec.json.decode(data) == value:
        return
    missing = (
        f"its annotation {annotation.text!r} can't be found at run time"
        if isinstance(annotation, Unresolved)
        else "it has no annotation that says its type"
    )
    raise UnstorableResult(
        f"{of} ({_type_name(value)}) would come back changed, as plain JSON: {missing}; annotate what is returned"
    )


def _encode_hook(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    as_json = getattr(value, "model_dump_json", None)  # a pydantic model, without importing pydantic
    if as_json is not None:
        return msgspec.Raw(as_json().encode())
    raise NotImplementedError(f"{_type_name(value)} is none of the types that JSON and msgspec know{_hint(value)}")


def decode_hook(annotation: type, value: Any) -> Any:
    """For types that msgspec doesn't know: paths and pydantic models."""
    if isinstance(annotation, type) and issubclass(annotation, PurePath) and isinstance(value, str):
        return Path(value) if annotation is Path else annotation(value)
    validate = getattr(annotation, "model_validate", None)
    if validate is not None:
        return validate(value)
    raise NotImplementedError(f"{readable_type(annotation)} can't be made from JSON")


_encoder = msgspec.json.Encoder(enc_hook=_encode_hook)


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _hint(value: Any) -> str:
    package = type(value).__module__.partition(".")[0]
    if package == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return "; return value.item(), a Python number"
    return _FILES_HINT if package in _LARGE_VALUE_MODULES else ""
