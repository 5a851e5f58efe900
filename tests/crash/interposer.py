"""Stands between a job's process and its store: writes down each call, and strikes at the chosen ones.

It wraps whatever `open_store` opens, with whatever calls that store has: one that is added to the protocol is met
without a change here.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import resumable.sdk.main
from resumable.sdk.interruption import Interruption
from resumable.state import open as opening
from resumable.state.outcome import StoreUnavailable
from resumable.state.store import Store
from tests.crash import journal
from tests.crash.faults import Fault, Strike

# The heartbeat comes by the clock, from a thread of its own: it has no place in an order of calls.
_NOT_COUNTED = frozenset({"heartbeat", "close", "info", "migrate"})
_NOTICED_WITHIN = 10.0

Wrap = Callable[[Store], Store]


class Wire:
    """The proxy between this process and the server, told what to do at which moment."""

    def __init__(self, control: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(control)
        self._asking = threading.Lock()  # writes of several steps are under way at the same time

    def ask(self, request: str) -> str:
        """Send one word; the answer comes when it is done."""
        with self._asking:
            self._socket.sendall(request.encode() + b"\n")
            return self._socket.recv(100).decode().strip()


class Interposer:
    """A store's calls, with faults."""

    def __init__(self, store: Store, strikes: dict[int, Strike], wire: Wire | None) -> None:
        self._store = store
        self._strikes = strikes
        self._wire = wire
        self._lock = threading.Lock()
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        if name in _NOT_COUNTED or not callable(call):
            return call
        return lambda *args, **kwargs: self._call(name, call, args, kwargs)

    def _call(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._lock:
            self._calls += 1
            number = self._calls
        about = {"call": number, "of": name, **_step(name, args)}
        journal.write(**about, moment="before")
        strike = self._strikes.get(number)
        fault = strike.fault if strike else None
        if strike:
            journal.write(struck=str(strike))
            self._strike_before(strike)
        turns = self._turns()
        try:
            answer = call(*args, **kwargs)
        except BaseException as error:
            journal.write(**about, moment="raised", answer=f"{type(error).__name__}: {error}"[:200])
            raise
        journal.write(**about, moment="done", answer=type(answer).__name__, turns=self._turns() - turns)
        if fault is Fault.KILLED_AFTER:
            _kill()
        if fault is Fault.REPLY_LOST:
            raise StoreUnavailable("the reply was lost")
        return answer

    def _turns(self) -> int:
        return int(self._wire.ask("turns")) if self._wire else 0

    def _strike_before(self, strike: Strike) -> None:
        match strike.fault:
            case Fault.KILLED_BEFORE:
                _kill()
            case Fault.SIGTERM:
                os.kill(os.getpid(), signal.SIGTERM)
                _wait_until_noticed()
            case Fault.REQUEST_LOST:
                raise StoreUnavailable("the request was lost")
            case Fault.CONNECTION_CLOSED | Fault.REPLY_CUT | Fault.KILLED_INSIDE:
                assert self._wire is not None
                self._wire.ask(f"{strike.fault.name} {strike.turn} {os.getpid()}")
            case _:
                pass


def _step(name: str, args: tuple[Any, ...]) -> dict[str, str]:
    """Which step a call is about, and which of its effects may not come again once it was answered."""
    step = next((arg for arg in args if hasattr(arg, "name") and hasattr(arg, "key")), None)
    if step is None:
        return {"label": f"{args[2]}[{args[3]}]" if args[3] else args[2]} if name == "forget_step" else {}
    label = f"{step.name}[{step.key}]" if step.key else step.name
    if name == "finish_step" and (not step.error or step.final):
        return {"label": label, "covers": "all"}
    return {"label": label, "covers": "so far" if name == "save_cursor" else ""}


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # it is under way


_interruptions: list[Interruption] = []


class _Known(Interruption):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _interruptions.append(self)


def _wait_until_noticed() -> None:
    """The watchdog's thread has read the signal: from here on the worker knows."""
    deadline = time.monotonic() + _NOTICED_WITHIN
    while not any(interruption.stopping for interruption in _interruptions):
        if time.monotonic() > deadline:
            raise RuntimeError(f"SIGTERM was not noticed within {_NOTICED_WITHIN:g} s")
        time.sleep(0.001)


def interpose(strikes: list[Strike], wire: Wire | None, planted: Wrap | None) -> None:
    """Wrap each store that this process opens from now on. `planted`: a bug to put between us and the store."""
    resumable.sdk.main.Interruption = _Known  # type: ignore[misc]
    at = {strike.call: strike for strike in strikes}
    for scheme, opener in list(opening._OPENERS.items()):

        def opened(url: str, token_file: str | None, opener: Any = opener) -> Any:
            store = opener(url, token_file)
            return Interposer(planted(store) if planted else store, at, wire)

        opening._OPENERS[scheme] = opened
