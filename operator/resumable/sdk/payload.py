"""The payload that all steps of a run share: a small JSON object, stored by the next write that the job makes anyway.

It travels inside the write of the next result or cursor, in the same commit: nobody ever reads a step as done and the
payload from before it. A job that is interrupted, or ends, stores it by itself.
"""

import typing
from typing import Any, TypeVar, cast

import msgspec

from resumable.sdk import codec
from resumable.sdk.errors import EncryptionKeyError, JobDefinitionError, UnstorableResult
from resumable.state.record import Encoded

T = TypeVar("T")

DEFAULT_LIMIT = 64 * 1024

_OF = "the payload"


class Payload(dict[str, Any]):
    """The values by name, as JSON keeps them.

    ```python
    class Progress(TypedDict, total=False):
        customer: int
        paid_at: datetime

    progress = j.payload.typed(Progress)
    progress["customer"] = 4711
    ```

    Steps that run at the same time (`map`) may all use it: setting and reading one value is atomic. To change one in
    the light of what it was takes a lock of the author's, as everywhere in Python.
    """

    def __init__(self, stored: Encoded | None, *, limit: int = DEFAULT_LIMIT) -> None:
        self.unreadable: EncryptionKeyError | None = None  # said when the job begins; until then it stays as it is
        super().__init__()
        self._record = stored or Encoded(codec.JSON, b"{}")
        self._stored = b"{}"  # as JSON: encrypted, the same values look different each time
        if stored is not None:
            try:
                self._stored = codec.json_of(stored, of=_OF)
                self.update(codec.decode(Encoded(codec.JSON, self._stored), dict[str, Any], of=_OF))
            except EncryptionKeyError as error:
                self.unreadable = error
        self.limit = limit  # bytes of JSON
        self._types: dict[str, Any] = {}

    def typed(self, kind: type[T]) -> T:
        """The same mapping as a `TypedDict`: for the type checker, and so that its values come back as their
        annotations say (`datetime`, `Decimal`, a dataclass) and are refused when they don't fit.

        Call it where the job begins. Names that it doesn't know stay as they are. Raises `JobDefinitionError`,
        `UnreadableResult`.
        """
        if not typing.is_typeddict(kind):
            raise JobDefinitionError(f"{_OF}: typed() takes a TypedDict, not {kind!r:.80}")
        for name, annotation in typing.get_type_hints(kind).items():
            if name in self:
                of = f"{_OF}: {name!r}"
                encoded = codec.encode(self[name], self._types.get(name, Any), of=of, limit=self.limit)
                self[name] = codec.decode(encoded, annotation, of=of)
            self._types[name] = annotation
        return cast(T, self)

    def changed(self) -> Encoded | None:
        """What has to be stored; None: it is stored as it is. Raises `UnstorableResult`."""
        if not self and self._stored == b"{}":
            return None
        now = dict(self)  # at one moment, whatever other threads do
        try:
            data = codec.encoder.encode(now)
        except Exception:  # noqa: BLE001 - which value it is will be said next
            data = None
        if data is not None and data == self._stored:
            return None
        return codec.seal(codec.JSON, self._checked(now))

    def stored(self, encoded: Encoded) -> None:
        """It is durable."""
        self._record = encoded
        self._stored = codec.json_of(encoded, of=_OF)

    def as_stored(self) -> Encoded:
        """What the store has."""
        return self._record

    def _checked(self, values: dict[str, Any]) -> bytes:
        fields: dict[str, msgspec.Raw] = {}
        for name, value in values.items():
            if not isinstance(name, str):
                raise UnstorableResult(f"{_OF}: its names are texts, not {name!r:.80}")
            of = f"{_OF}: {name!r}"
            limit_name = "max_payload_bytes="
            data = codec.to_json(value, self._types.get(name, Any), of=of, limit=self.limit, limit_name=limit_name)
            fields[name] = msgspec.Raw(data)
        whole = codec.encoder.encode(fields)
        if len(whole) > self.limit:
            largest = max(fields, key=lambda name: len(fields[name]))
            raise UnstorableResult(
                f"{_OF} is {len(whole):,} bytes of JSON, {largest!r} alone {len(fields[largest]):,}; the limit is"
                f" {self.limit:,} (max_payload_bytes=): it is for small things, let a step return the large ones"
            )
        return whole
