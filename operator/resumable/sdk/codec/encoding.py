"""Values to records and back, checked on the way in."""

from typing import Any

import msgspec

from resumable.sdk.annotations import Unresolved, readable_type
from resumable.sdk.codec.compression import THRESHOLD
from resumable.sdk.codec.encryption import keyring
from resumable.sdk.codec.exactness import Difference, Nothing, difference
from resumable.sdk.codec.json_types import encoder, from_json, plain_from_json
from resumable.sdk.codec.pickled import PICKLE, from_pickle, to_pickle
from resumable.sdk.codec.sealing import seal, unseal
from resumable.sdk.codec.unions import TAGGED, Tagged, is_union, members
from resumable.sdk.codec.unstorable import FILES_HINT, NO_NAN, Unstorable, not_finite, type_name, where
from resumable.sdk.errors import UnreadableResult, UnstorableResult
from resumable.state.limits import LARGEST_VALUE
from resumable.state.record import Encoded

JSON = "json"
DEFAULT_LIMIT = 1 << 20

_LEAST_INT, _MOST_INT = -(1 << 63), (1 << 63) - 1


def encode(
    value: Any,
    annotation: Any,
    *,
    of: str,
    limit: int = DEFAULT_LIMIT,
    limit_name: str = "",
    pickled: bool = False,
) -> Encoded:
    """The value as it is stored. Raises `UnstorableResult`.

    `of` names it in errors ("step 'load': the result"), `limit` is in bytes of JSON, `limit_name` says what raises it.
    """
    if pickled:
        return seal(PICKLE, to_pickle(value, of=of, limit=limit, limit_name=limit_name))
    try:
        data = to_json(value, annotation, of=of, limit=limit, limit_name=limit_name)
    except UnstorableResult:
        if not is_union(annotation) or (tagged := _tagged(value, annotation, of, limit, limit_name)) is None:
            raise
        return seal(TAGGED, tagged)
    if len(data) < THRESHOLD and keyring() is None:
        return Encoded(JSON, data)
    return seal(JSON, data)


def to_json(value: Any, annotation: Any, *, of: str, limit: int = DEFAULT_LIMIT, limit_name: str = "") -> bytes:
    """The value as JSON that is sure to come back as the same. Raises `UnstorableResult`."""
    try:
        data = encoder.encode(value)
    except Exception as error:
        raise UnstorableResult(_refusal(value, error, of)) from error
    if len(data) > limit or len(data) > LARGEST_VALUE:
        raise UnstorableResult(
            f"{of} ({type_name(value)}) is {len(data):,} bytes of JSON; the limit is"
            f" {min(limit, LARGEST_VALUE):,}{f' ({limit_name})' if limit_name else ''}{FILES_HINT}"
        )
    kind = type(value)
    if (annotation is kind or annotation is Any) and (
        kind is str or value is None or (kind is int and _LEAST_INT <= value <= _MOST_INT)
    ):
        return data  # what most small steps return is sure to come back
    if annotation is Any or annotation is object or isinstance(annotation, Unresolved):
        back = plain_from_json(data)
    else:
        try:
            back = from_json(data, annotation)
        except Exception as error:
            raise UnstorableResult(
                f"{of} is annotated {readable_type(annotation)}, but a {type_name(value)} was returned"
                f" that can't be read back as that: {error}{_not_finite(value)}{_union(error)}"
            ) from error
    if found := difference(value, back):
        raise UnstorableResult(_changed(value, annotation, found, of))
    return data


def encode_unchecked(value: Any) -> Encoded:
    """The value as it is stored, whether or not it would come back the same. Raises what the encoder raises."""
    return seal(JSON, encoder.encode(value))


def decode(encoded: Encoded, annotation: Any, *, of: str, pickled: bool = False) -> Any:
    """The value again. `pickled`: it may be a pickle. Raises `UnreadableResult`, `EncryptionKeyError`."""
    if encoded.codec == JSON:
        data = encoded.data
    elif pickled and encoded.codec.startswith(PICKLE):
        return from_pickle(unseal(encoded, of=of)[1], of=of)
    elif encoded.codec.startswith(TAGGED):
        return _untagged(unseal(encoded, of=of)[1], annotation, of)
    else:
        data = json_of(encoded, of=of)
    try:
        return from_json(data, Any if isinstance(annotation, Unresolved) else annotation)
    except Exception as error:
        raise UnreadableResult(
            f"{of} was stored by an earlier attempt and doesn't fit {readable_type(annotation)} any more: {error}"
        ) from error


def _tagged(value: Any, annotation: Any, of: str, limit: int, limit_name: str) -> bytes | None:
    """As the member of the union that it comes back as; None: as none of them."""
    for name, member in members(annotation).items():
        try:
            data = to_json(value, member, of=of, limit=limit, limit_name=limit_name)
        except UnstorableResult:
            continue
        return encoder.encode(Tagged(name, msgspec.Raw(data)))
    return None


def _untagged(data: bytes, annotation: Any, of: str) -> Any:
    try:
        tagged = msgspec.json.decode(data, type=Tagged)
        known = members(annotation)
        if tagged.type not in known:
            raise UnreadableResult(f"{of} was stored as {tagged.type}, which is none of {', '.join(known)} any more")
        return from_json(bytes(tagged.value), known[tagged.type])
    except UnreadableResult:
        raise
    except Exception as error:
        raise UnreadableResult(
            f"{of} was stored by an earlier attempt and doesn't fit {readable_type(annotation)} any more: {error}"
        ) from error


def json_of(encoded: Encoded, *, of: str) -> bytes:
    """The value as JSON text, for who doesn't know its type. Raises `UnreadableResult`, `EncryptionKeyError`."""
    form, data = unseal(encoded, of=of)
    if form == PICKLE:
        raise UnreadableResult(
            f"{of} is a pickle, which is read only by a step that asks for it: j.options(codec='pickle'); to run the"
            " step again forget it"
        )
    if form not in (JSON, TAGGED):
        raise UnreadableResult(f"{of} is stored as {encoded.codec!r}, which this version can't read")
    return data


def shown(encoded: Encoded) -> str:
    """As JSON text for people; how many bytes of what, where it can't be read here."""
    try:
        return json_of(encoded, of="it").decode(errors="replace")
    except UnreadableResult:
        return f"{len(encoded.data):,} bytes of {encoded.codec}"


def _refusal(value: Any, error: Exception, of: str) -> str:
    refused = error.value if isinstance(error, Unstorable) else value
    at = where(value, lambda part: part is refused)
    told = f"at {at}: {error}" if at else str(error)
    return f"{of} is a {type_name(value)}, which can't be stored: {told}"


def _union(error: Exception) -> str:
    if not (isinstance(error, TypeError) and str(error).startswith("Type unions")):
        return ""
    return (
        "; unions of types that look alike in JSON can be told apart only at the top of the annotation: inside a value"
        " use msgspec structs with tag=True, or one type for all of them"
    )


def _not_finite(value: Any) -> str:
    at = where(value, not_finite)
    return "" if at is None else f"; {NO_NAN}{f' (at {at})' if at else ''}"


def _changed(value: Any, annotation: Any, found: Difference, of: str) -> str:
    said = f"{of} ({type_name(value)}) would come back changed, as {_as(annotation)}"
    if found.path:
        said = f"{said}: at {found.path}"
    if found.back is Nothing:
        said = f"{said}: {_shown(found.stored)} would be lost"
    elif found.stored is Nothing:
        said = f"{said}: {_shown(found.back)} would be there, which it hasn't"
    else:
        said = f"{said}: {_shown(found.stored)} would be {_shown(found.back)}"
    return f"{said}; {_advice(annotation, found)}"


def _as(annotation: Any) -> str:
    plain = annotation is Any or annotation is object or isinstance(annotation, Unresolved)
    return "plain JSON" if plain else f"its annotation {readable_type(annotation)} says"


def _advice(annotation: Any, found: Difference) -> str:
    if found.advice:
        return found.advice
    if not_finite(found.stored):
        return NO_NAN
    if isinstance(found.stored, dict) and type(found.stored) is not dict:
        return "return dict(value), or annotate what is returned"
    if isinstance(annotation, Unresolved):
        return f"its annotation {annotation.text!r} can't be found at run time; annotate what is returned"
    if annotation is Any or annotation is object:
        return "it has no annotation that says its type; annotate what is returned"
    return "annotate the type that is really returned, or return one that the annotation says"


def _shown(value: Any) -> str:
    return f"the {type_name(value)} {value!r:.60}"
