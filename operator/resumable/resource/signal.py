"""A ResumableSignal, read from the object that the API server gives."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resumable.resource.names import SIGNAL_KIND
from resumable.state.record import Encoded
from resumable.state.store import NewSignal


@dataclass(frozen=True, slots=True)
class ResumableSignal:
    """One ResumableSignal. The schema has checked it; it never changes, but for its status."""

    namespace: str
    name: str
    uid: str
    job_name: str
    signal: str  # the name that the job's wait asks for
    payload: Encoded | None
    settled: bool  # its status tells what became of it, for good

    @property
    def as_sent(self) -> NewSignal:
        """As the run's record keeps it.

        The resource's name tells one signal from another: made again under the same name it is the same signal. Who
        made it the API server does not tell, so the resource is named as the sender.
        """
        return NewSignal(
            id=f"{self.namespace}/{self.name}",
            name=self.signal,
            payload=self.payload,
            sender=f"{SIGNAL_KIND}/{self.name}",
        )


DELIVERED, REFUSED, PENDING = "Delivered", "Refused", "Pending"


def read_signal(obj: Mapping[str, Any]) -> ResumableSignal:
    """Read an object of the API server."""
    metadata, spec = obj["metadata"], obj["spec"]
    status: Mapping[str, Any] = obj.get("status") or {}
    return ResumableSignal(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        job_name=spec["jobName"],
        signal=spec["name"],
        payload=_encoded(spec["payload"]) if "payload" in spec else None,
        settled=status.get("phase") in (DELIVERED, REFUSED),
    )


def _encoded(payload: object) -> Encoded:
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Encoded("json", text.encode())
