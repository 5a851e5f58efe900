"""The state service's HTTP API: paths and bodies, in one definition that the service and `RemoteStore` share.

Answers are the store's own types (`Run`, `WriteOutcome`, …) as JSON, bytes in base64. An error is a `Problem` (RFC
9457). A worker's calls carry the run in the path and the rest of the fence in the body.
"""

from enum import StrEnum
from typing import Any

import msgspec

from resumable.state.limits import label
from resumable.state.outcome import StoreRefused
from resumable.state.record import Encoded, Fence, RunStatus, StepRef, Write
from resumable.state.store import (
    Beginning,
    Expected,
    FinishedStep,
    NewRun,
    RestartRequest,
    RunEnd,
    SavedCursor,
    StartedStep,
    StepActivity,
)

API = "/v1"
PROBLEM_MEDIA_TYPE = "application/problem+json"


class ProblemType(StrEnum):
    """What went wrong, for programs. A client that asks for one run must tell "no such run" from "no such path"."""

    UNSPECIFIED = "about:blank"
    RUN_NOT_FOUND = "https://resumable.dev/problems/run-not-found"


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong with a body or a parameter: where (`step.name`), and what was expected."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error (RFC 9457). `detail` is one sentence for a person."""

    status: int
    title: str
    detail: str
    type: str = ProblemType.UNSPECIFIED.value
    errors: tuple[FieldError, ...] = ()


# What may hold anything that a program prints: sent with stray surrogates (from file names, for instance) escaped, as
# stores keep it.
_FREE_TEXT = frozenset({"error", "message", "progress_message"})
_ENCODER = msgspec.json.Encoder()


def encode(body: msgspec.Struct) -> bytes:
    """A body as JSON. Raises StoreRefused for a name that is no valid Unicode, which JSON can't carry."""
    try:
        return _ENCODER.encode(body)
    except UnicodeEncodeError:
        return _ENCODER.encode(_escaped(msgspec.to_builtins(body), ()))


def _escaped(value: Any, path: tuple[str, ...]) -> Any:
    match value:
        case dict():
            return {field: _escaped(item, (*path, field)) for field, item in value.items()}
        case list() | tuple():
            return [_escaped(item, path) for item in value]
        case str() if path[-1:] and path[-1] in _FREE_TEXT:
            return value.encode("utf-8", "backslashreplace").decode()
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                what = "'s ".join(path)
                raise StoreRefused(
                    f"the {what} {value!r} is no valid Unicode (a surrogate without its partner)"
                ) from None
    return value


def what_is_large(body: msgspec.Struct | None) -> str:
    """For the message about a body that is too large: what of which step it carries, and how many bytes that is."""
    match body:
        case FinishStepRequest(step=FinishedStep(name=name, key=key, result=Encoded() as value)):
            return f"; the result of step {label(name, key)} has {len(value.data):,} bytes"
        case SaveCursorRequest(cursor=SavedCursor(name=name, key=key, value=Encoded() as value)):
            return f"; the cursor of step {label(name, key)} has {len(value.data):,} bytes"
    return ""


class WorkerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What each call of a worker carries: who it says it is."""

    attempt: int
    nonce: str

    def fence(self, run_id: str) -> Fence:
        """The whole fence; the run's id comes from the path."""
        return Fence(run_id, self.attempt, self.nonce)


class BeginRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/begin`. The service overwrites `beginning.pod_uid` with the one that the token proves."""

    beginning: Beginning


class StartStepRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/start-step`."""

    write: Write
    step: StartedStep


class FinishStepRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/finish-step`."""

    write: Write
    step: FinishedStep


class SaveCursorRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/save-cursor`."""

    write: Write
    cursor: SavedCursor


class HeartbeatRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/heartbeat`."""

    activity: tuple[StepActivity, ...] = ()


class SavePayloadRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/save-payload`."""

    write: Write
    payload: Encoded


class ReadSignalsRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/read-signals`."""


class ForgetStepRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/forget-step`."""

    write: Write
    name: str
    key: str = ""


class EndRequest(WorkerRequest, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/end`."""

    write: Write
    end: RunEnd


class SetInputRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/set-input`."""

    expected: Expected
    value: Encoded | None = None


class MintRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/mint`."""

    expected: Expected
    nonce: str


class BindPodRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/bind-pod`."""

    attempt: int
    nonce: str
    pod_name: str
    pod_uid: str
    node: str = ""


class RequestStopRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/request-stop`."""

    expected_attempt: int
    reason: str


class SettleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/settle`."""

    expected: Expected
    to: RunStatus
    reason: str
    message: str = ""


class RestartRunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/restart`."""

    expected: Expected
    request: RestartRequest


class ForkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/runs/{run}/fork`: `{run}` is the one whose history is copied."""

    new: NewRun
    up_to: StepRef | None = None


class Collected(msgspec.Struct, frozen=True):
    """The answer to `POST /v1/collect`."""

    removed: int
