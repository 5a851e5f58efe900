"""A store at the other end of HTTP: the client of the state service.

It is what a worker in a pod uses, so it imports msgspec and urllib3 only. It never sends a call again by itself: a
retry is the caller's decision, who knows the deadline, and who sends the same write id. So each failure is one of two:

* `StoreUnavailable`: not reached, no (sensible) answer, or 401. Whether a write landed is unknown; the same call may
  work later. 401 is among them because a token that just expired is replaced by the kubelet, and an API server that is
  away can't check one.
* `StoreRefused`: the service understood the call and says no, in its own sentence.
"""

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from resumable.state import wire
from resumable.state.outcome import (
    BeginOutcome,
    ChangeOutcome,
    SendOutcome,
    SignalsOutcome,
    StartOutcome,
    StoreRefused,
    StoreUnavailable,
    WriteOutcome,
)
from resumable.state.record import (
    Cursor,
    Encoded,
    Event,
    Fence,
    Run,
    RunStatus,
    RunView,
    Signal,
    Step,
    StepRef,
    StepTry,
    StoreInfo,
    Write,
)
from resumable.state.store import (
    AttemptEnd,
    Beginning,
    Expected,
    FinishedStep,
    NewRun,
    NewSignal,
    RestartRequest,
    RunEnd,
    SavedCursor,
    StartedStep,
    StepActivity,
)

T = TypeVar("T")

# One JSON decoder an answer's type, made once: `begin` decodes thousands of steps.
_BEGIN: msgspec.json.Decoder[BeginOutcome] = msgspec.json.Decoder(BeginOutcome)
_WRITE: msgspec.json.Decoder[WriteOutcome] = msgspec.json.Decoder(WriteOutcome)
_START: msgspec.json.Decoder[StartOutcome] = msgspec.json.Decoder(StartOutcome)
_SIGNALS: msgspec.json.Decoder[SignalsOutcome] = msgspec.json.Decoder(SignalsOutcome)
_SEND: msgspec.json.Decoder[SendOutcome] = msgspec.json.Decoder(SendOutcome)
_CHANGE: msgspec.json.Decoder[ChangeOutcome] = msgspec.json.Decoder(ChangeOutcome)
_INFO = msgspec.json.Decoder(StoreInfo)
_RUN = msgspec.json.Decoder(Run)
_VIEW = msgspec.json.Decoder(RunView)
_RUNS = msgspec.json.Decoder(tuple[Run, ...])
_STEPS = msgspec.json.Decoder(tuple[Step, ...])
_CURSORS = msgspec.json.Decoder(tuple[Cursor, ...])
_EVENTS = msgspec.json.Decoder(tuple[Event, ...])
_SENT_SIGNALS = msgspec.json.Decoder(tuple[Signal, ...])
_TRIES = msgspec.json.Decoder(tuple[StepTry, ...])
_WOKEN = msgspec.json.Decoder(tuple[str, ...])
_COLLECTED = msgspec.json.Decoder(wire.Collected)
_PROBLEM = msgspec.json.Decoder(wire.Problem)

# Anything else that is not 2xx leaves open what happened. A redirect is a wrong URL: it is not followed, as it would
# leak the token.
_REFUSALS = frozenset({*range(300, 400), 400, 403, 404, 405, 409, 410, 413, 414, 415, 422, 431})


class TokenFile:
    """A bearer token in a file that the kubelet replaces before it expires. Read again when the file changed."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def read(self) -> str:
        """The token as it is now. Raises StoreUnavailable: the file is not there, can't be read or is empty."""
        try:
            stat = os.stat(
                self._path
            )  # follows the projected volume's `..data` link, so a replaced token has another inode
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            with self._lock:
                if seen != self._seen:
                    self._token, self._seen = self._path.read_text(encoding="ascii").strip(), seen
                token = self._token
        except (OSError, UnicodeDecodeError) as error:
            raise StoreUnavailable(
                f"the token file {self._path} can't be read: {error}; is RESUMABLE_TOKEN_FILE right?"
            ) from error
        if not token:
            raise StoreUnavailable(f"the token file {self._path} is empty; is RESUMABLE_TOKEN_FILE right?")
        return token


class RemoteStore:
    """The `Store` that a state service serves, e.g. `RemoteStore("http://resumable-state.resumable-system.svc:8080")`.

    `timeout` is the wait for an answer, `connect_timeout` the wait for a connection. Thread-safe: up to `connections`
    calls run at once on kept connections, more open one of their own.
    """

    def __init__(
        self,
        url: str,
        *,
        token_file: str | Path | None = None,
        timeout: timedelta = timedelta(seconds=10),
        connect_timeout: timedelta = timedelta(seconds=3),
        connections: int = 8,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StoreRefused(
                f"the store URL {url!r} is not one of a state service: give http://host:port or https://host:port"
            )
        self._url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/") + wire.API
        self._token = TokenFile(token_file) if token_file else None
        self._pool = urllib3.connection_from_url(
            self._url,
            maxsize=connections,
            timeout=urllib3.Timeout(connect=connect_timeout.total_seconds(), read=timeout.total_seconds()),
            retries=False,
        )

    # The worker's calls.

    def begin(self, fence: Fence, beginning: Beginning) -> BeginOutcome:
        body = wire.BeginRequest(attempt=fence.attempt, nonce=fence.nonce, beginning=beginning)
        return self._post(fence.run_id, "begin", body, _BEGIN)

    def start_step(self, fence: Fence, write: Write, step: StartedStep) -> StartOutcome:
        body = wire.StartStepRequest(attempt=fence.attempt, nonce=fence.nonce, write=write, step=step)
        return self._post(fence.run_id, "start-step", body, _START)

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        body = wire.FinishStepRequest(attempt=fence.attempt, nonce=fence.nonce, write=write, step=step)
        return self._post(fence.run_id, "finish-step", body, _WRITE)

    def save_cursor(self, fence: Fence, write: Write, cursor: SavedCursor) -> WriteOutcome:
        body = wire.SaveCursorRequest(attempt=fence.attempt, nonce=fence.nonce, write=write, cursor=cursor)
        return self._post(fence.run_id, "save-cursor", body, _WRITE)

    def heartbeat(self, fence: Fence, activity: tuple[StepActivity, ...] = ()) -> WriteOutcome:
        body = wire.HeartbeatRequest(attempt=fence.attempt, nonce=fence.nonce, activity=activity)
        return self._post(fence.run_id, "heartbeat", body, _WRITE)

    def save_payload(self, fence: Fence, write: Write, payload: Encoded) -> WriteOutcome:
        body = wire.SavePayloadRequest(attempt=fence.attempt, nonce=fence.nonce, write=write, payload=payload)
        return self._post(fence.run_id, "save-payload", body, _WRITE)

    def read_signals(self, fence: Fence) -> SignalsOutcome:
        body = wire.ReadSignalsRequest(attempt=fence.attempt, nonce=fence.nonce)
        return self._post(fence.run_id, "read-signals", body, _SIGNALS)

    def forget_step(self, fence: Fence, write: Write, name: str, key: str) -> WriteOutcome:
        body = wire.ForgetStepRequest(attempt=fence.attempt, nonce=fence.nonce, write=write, name=name, key=key)
        return self._post(fence.run_id, "forget-step", body, _WRITE)

    def end_run(self, fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
        body = wire.EndRequest(attempt=fence.attempt, nonce=fence.nonce, write=write, end=end)
        return self._post(fence.run_id, "end", body, _WRITE)

    # The controller's and the readers'.

    def info(self) -> StoreInfo:
        return self._get("/store", _INFO)

    def create_run(self, run: NewRun) -> Run:
        return self._call("POST", "/runs", _RUN, run)

    def get_run(self, run_id: str) -> Run | None:
        return self._find(_run_path(run_id), _RUN)

    def view(self, run_id: str, *, steps: int = 12) -> RunView | None:
        return self._find(_run_path(run_id, "view", steps=steps), _VIEW)

    def list_runs(self, namespace: str | None = None, *, limit: int = 500) -> tuple[Run, ...]:
        query = {"limit": limit} if namespace is None else {"namespace": namespace, "limit": limit}
        return self._get(f"/runs?{urlencode(query)}", _RUNS)

    def list_steps(self, run_id: str) -> tuple[Step, ...]:
        return self._get(_run_path(run_id, "steps"), _STEPS)

    def list_cursors(self, run_id: str) -> tuple[Cursor, ...]:
        return self._get(_run_path(run_id, "cursors"), _CURSORS)

    def list_events(self, run_id: str, *, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        return self._get(_run_path(run_id, "events", after=after, limit=limit), _EVENTS)

    def list_signals(self, run_id: str) -> tuple[Signal, ...]:
        return self._get(_run_path(run_id, "signals"), _SENT_SIGNALS)

    def list_tries(self, run_id: str) -> tuple[StepTry, ...]:
        return self._get(_run_path(run_id, "tries"), _TRIES)

    def list_woken(self, *, limit: int = 500) -> tuple[str, ...]:
        return self._get(f"/woken?{urlencode({'limit': limit})}", _WOKEN)

    def send_signal(self, run_id: str, signal: NewSignal) -> SendOutcome:
        return self._post(run_id, "signals", signal, _SEND)

    def set_input(self, run_id: str, expected: Expected, value: Encoded | None) -> ChangeOutcome:
        return self._post(run_id, "set-input", wire.SetInputRequest(expected=expected, value=value), _CHANGE)

    def mint(self, run_id: str, expected: Expected, nonce: str) -> ChangeOutcome:
        return self._post(run_id, "mint", wire.MintRequest(expected=expected, nonce=nonce), _CHANGE)

    def bind_pod(
        self, run_id: str, attempt: int, nonce: str, *, pod_name: str, pod_uid: str, node: str = ""
    ) -> ChangeOutcome:
        body = wire.BindPodRequest(attempt=attempt, nonce=nonce, pod_name=pod_name, pod_uid=pod_uid, node=node)
        return self._post(run_id, "bind-pod", body, _CHANGE)

    def request_stop(self, run_id: str, expected_attempt: int, reason: str) -> ChangeOutcome:
        body = wire.RequestStopRequest(expected_attempt=expected_attempt, reason=reason)
        return self._post(run_id, "request-stop", body, _CHANGE)

    def count_end(self, run_id: str, end: AttemptEnd) -> ChangeOutcome:
        return self._post(run_id, "count-end", end, _CHANGE)

    def settle(
        self, run_id: str, expected: Expected, to: RunStatus, *, reason: str, message: str = ""
    ) -> ChangeOutcome:
        body = wire.SettleRequest(expected=expected, to=to, reason=reason, message=message)
        return self._post(run_id, "settle", body, _CHANGE)

    def restart(self, run_id: str, expected: Expected, request: RestartRequest) -> ChangeOutcome:
        return self._post(run_id, "restart", wire.RestartRunRequest(expected=expected, request=request), _CHANGE)

    def fork_run(self, source_id: str, new: NewRun, up_to: StepRef | None) -> Run | None:
        body = wire.ForkRequest(new=new, up_to=up_to)
        try:
            return self._post(source_id, "fork", body, _RUN)
        except _RunNotFound:
            return None

    def collect(self) -> int:
        return self._call("POST", "/collect", _COLLECTED).removed

    def delete_run(self, run_id: str) -> None:
        self._send("DELETE", _run_path(run_id))

    def close(self) -> None:
        self._pool.close()

    # How a call is made.

    def _get(self, path: str, decoder: "msgspec.json.Decoder[T]") -> T:
        return self._call("GET", path, decoder)

    def _find(self, path: str, decoder: "msgspec.json.Decoder[T]") -> T | None:
        """None only for the service's own "no such run": a proxy's 404 must not look like a lost record."""
        try:
            return self._call("GET", path, decoder)
        except _RunNotFound:
            return None

    def _post(self, run_id: str, action: str, body: msgspec.Struct, decoder: "msgspec.json.Decoder[T]") -> T:
        return self._call("POST", _run_path(run_id, action), decoder, body)

    def _call(
        self, method: str, path: str, decoder: "msgspec.json.Decoder[T]", body: msgspec.Struct | None = None
    ) -> T:
        answer = self._send(method, path, body)
        try:
            return decoder.decode(answer)
        except msgspec.DecodeError as error:
            raise StoreUnavailable(
                f"{method} {self._url}{wire.API}{path} was not answered by a state service: {error}; "
                "is RESUMABLE_STORE_URL right, and is the service as new as this client?"
            ) from error

    def _send(self, method: str, path: str, body: msgspec.Struct | None = None) -> bytes:
        headers = {"accept": "application/json", "user-agent": "resumable-jobs"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token.read()}"
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            response = self._pool.urlopen(
                method,
                self._prefix + path,
                body=None if body is None else wire.encode(body),
                headers=headers,
                redirect=False,
                retries=False,
            )
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(
                f"the state service at {self._url} does not answer {method} {path}: {error}"
            ) from error
        if response.status < 300:
            return response.data
        raise self._failure(method, path, response, wire.what_is_large(body) if response.status == 413 else "")

    def _failure(self, method: str, path: str, response: urllib3.BaseHTTPResponse, what: str) -> Exception:
        problem = _problem(response)
        where = f"the state service at {self._url} answered {method} {path} with {response.status}"
        message = f"{where}: {problem.detail if problem else response.reason or 'no reason given'}{what}"
        if problem is not None and problem.type == wire.ProblemType.RUN_NOT_FOUND:
            return _RunNotFound(message)
        return StoreRefused(message) if response.status in _REFUSALS else StoreUnavailable(message)


class _RunNotFound(StoreRefused):
    """The service has no run with this id."""


def _problem(response: urllib3.BaseHTTPResponse) -> wire.Problem | None:
    if not response.headers.get("content-type", "").startswith(wire.PROBLEM_MEDIA_TYPE):
        return None
    try:
        return _PROBLEM.decode(response.data)
    except msgspec.DecodeError:
        return None


def _run_path(run_id: str, part: str = "", **query: Any) -> str:
    if not run_id or run_id in (".", "..") or "/" in run_id:
        raise StoreRefused(
            f"run id {run_id!r}: an id that goes over HTTP is not empty, '.' or '..' and has no '/' in it"
        )
    try:
        path = f"/runs/{quote(run_id, safe='')}"
    except UnicodeEncodeError:
        raise StoreRefused(f"run id {run_id!r} is no valid Unicode (a surrogate without its partner)") from None
    if part:
        path += f"/{part}"
    return f"{path}?{urlencode(query)}" if query else path
