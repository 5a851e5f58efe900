"""A proxy between a worker and its store's server that closes connections, or holds a request, when it is told to.

It counts *turns*: a turn is what the server sends until the client speaks again; a call of three statements has three.
"""

import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

from tests.crash.faults import Fault

_RELEASED_WITHIN = 30.0


class Holding:
    """Counts moments, and can stop whoever meets the chosen one until it is released."""

    def __init__(self) -> None:
        self.count = 0
        self.held = threading.Event()
        self._at = 0
        self._go_on = threading.Event()

    def hold(self, at: int) -> None:
        """Stop whoever meets the `at`-th moment from now on."""
        self.count, self._at = 0, at
        self.held.clear()
        self._go_on.clear()

    def release(self) -> None:
        self._at = 0
        self._go_on.set()

    def met(self) -> None:
        self.count += 1
        if self.count == self._at:
            self.held.set()
            self._go_on.wait(_RELEASED_WITHIN)


class CuttingProxy:
    """Forwards to `target`; one job process at a time uses it."""

    def __init__(self, target: tuple[str, int], control: Path) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._turns = 0
        self._fault: Fault | None = None
        self._left = 0
        self._victim = 0
        self.struck = False
        self.holding = Holding()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.control = str(control)
        self._control = socket.socket(socket.AF_UNIX)
        self._control.bind(self.control)
        self._control.listen()
        for accept in (self._accept, self._accept_control):
            threading.Thread(target=accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, self._control):
            _cut(each)
        self._close_all()

    def reset(self) -> None:
        """Before a case: nothing is to strike, nothing is connected."""
        with self._lock:
            self._fault, self.struck = None, False
        self._close_all()

    # What the interposer asks for.

    def _accept_control(self) -> None:
        with suppress(OSError):
            while True:
                worker, _ = self._control.accept()
                threading.Thread(target=self._obey, args=(worker,), daemon=True).start()

    def _obey(self, worker: socket.socket) -> None:
        with suppress(OSError), worker, worker.makefile("rb") as requests:
            for line in requests:
                worker.sendall(b"%d\n" % self._do(line.decode().split()))

    def _do(self, request: list[str]) -> int:
        if request == ["turns"]:
            return self._turns
        name, turn, pid = request
        fault = Fault[name]
        if fault is Fault.CONNECTION_CLOSED:
            self.struck = True
            self._close_all()
            return 0
        with self._lock:
            self._fault, self._left, self._victim = fault, int(turn), int(pid)
        return 0

    # Forwarding.

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._pairs.append((client, server))
                asked = threading.Event()
                threading.Thread(target=self._requests, args=(client, server, asked), daemon=True).start()
                threading.Thread(target=self._replies, args=(client, server, asked), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, asked: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if not asked.is_set():
                    self.holding.met()
                asked.set()
                server.sendall(data)
        _cut(server)

    def _replies(self, client: socket.socket, server: socket.socket, asked: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if asked.is_set():
                    asked.clear()
                    if self._turned():
                        break
                client.sendall(data)
        _cut(client)
        _cut(server)

    def _turned(self) -> bool:
        """A reply begins; whether it is the one at which the fault strikes."""
        with self._lock:
            self._turns += 1
            if self._fault is None:
                return False
            self._left -= 1
            if self._left > 0:
                return False
            fault, self._fault, self.struck = self._fault, None, True
        if fault is Fault.KILLED_INSIDE:
            with suppress(ProcessLookupError):
                os.kill(self._victim, signal.SIGKILL)
        return True

    def _close_all(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                _cut(each)


def _cut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
