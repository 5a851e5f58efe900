"""Values to records and back, checked on the way in."""

from typing import Any

import msgspec

from resumable.sdk.annotations import Unresolved, readable_type
from resumable.sdk.codec.json_types import encoder, from_json
from resumable.sdk.codec.unstorable import FILES_HINT, type_name
from resumable.sdk.errors import UnreadableResult, UnstorableResult
from resumable.state.record import Encoded

JSON = "json"
DEFAULT_LIMIT = 1 << 20


def encode(value: Any, annotation: Any, *, of: str, limit: int = DEFAULT_LIMIT, limit_name: str = "") -> Encoded:
    """The value as it is stored. Raises `UnstorableResult`.

    `of` names it in errors ("step 'load': the result"), `limit` is in bytes of JSON, `limit_name` says what raises it.
    """
    try:
        data = encoder.encode(value)
    except Exception as error:
        raise UnstorableResult(f"{of} is a {type_name(value)}, which can't be stored: {error}") from error
    if len(data) > limit:
        raise UnstorableResult(
            f"{of} ({type_name(value)}) is {len(data):,} bytes of JSON; the limit is {limit:,}"
            f"{f' ({limit_name})' if limit_name else ''}{FILES_HINT}"
        )
    if annotation is Any or annotation is object or isinstance(annotation, Unresolved):
        _check_plain(value, data, annotation, of)
    else:
        try:
            from_json(data, annotation)
        except Exception as error:
            raise UnstorableResult(
                f"{of} is annotated {readable_type(annotation)}, but a {type_name(value)} was returned"
                f" that can't be read back as that: {error}"
            ) from error
    return Encoded(JSON, data)


def encode_unchecked(value: Any) -> Encoded:
    """The value as it is stored, whether or not it would come back the same. Raises what the encoder raises."""
    return Encoded(JSON, encoder.encode(value))


def decode(encoded: Encoded, annotation: Any, *, of: str) -> Any:
    """The value again. Raises `UnreadableResult`."""
    if encoded.codec != JSON:
        raise UnreadableResult(f"{of} is stored as {encoded.codec!r}, which this version can't read")
    try:
        return from_json(encoded.data, Any if isinstance(annotation, Unresolved) else annotation)
    except Exception as error:
        raise UnreadableResult(
            f"{of} was stored by an earlier attempt and doesn't fit {readable_type(annotation)} any more: {error}"
        ) from error


def _check_plain(value: Any, data: bytes, annotation: Any, of: str) -> None:
    if msgspec.json.decode(data) == value:
        return
    missing = (
        f"its annotation {annotation.text!r} can't be found at run time"
        if isinstance(annotation, Unresolved)
        else "it has no annotation that says its type"
    )
    raise UnstorableResult(
        f"{of} ({type_name(value)}) would come back changed, as plain JSON: {missing}; annotate what is returned"
    )
