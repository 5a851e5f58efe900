"""The payload that all steps of a run share: a JSON object that is saved when it has changed."""

from typing import Any

from resumable.sdk import codec
from resumable.sdk.attempt import Attempt


class Payload:
    """The values, and what of them is stored already."""

    def __init__(self, attempt: Attempt, *, of: str) -> None:
        self._attempt = attempt
        self._of = of
        stored = attempt.run.payload
        self._stored = stored.data if stored else b"{}"
        self.values: dict[str, Any] = codec.decode(stored, dict[str, Any], of=of) if stored else {}

    def save(self) -> None:
        """Store the values unless they are stored. Raises `UnstorableResult`."""
        encoded = codec.encode(self.values, Any, of=self._of)
        if encoded.data != self._stored:
            self._attempt.save_payload(encoded)
            self._stored = encoded.data
