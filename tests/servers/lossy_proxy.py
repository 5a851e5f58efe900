"""A TCP proxy that can lose a server's reply: the request arrives and is carried out, the answer never comes back."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class LossyProxy:
    """Forwards both ways until it is told to lose what the server says next; then it cuts the connection."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._losing = threading.Event()
        self._lose_reply_to: re.Pattern[bytes] | None = None
        self.lost = threading.Event()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def lose_next_reply(self) -> None:
        """From now on the first reply is thrown away and its connection cut; connections made later work."""
        self.lost.clear()
        self._losing.set()

    def lose_reply_to(self, request: re.Pattern[bytes]) -> None:
        """As `lose_next_reply`, from the first request on that matches."""
        self.lost.clear()
        self._lose_reply_to = request

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            _cut(each)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
                threading.Thread(target=self._replies, args=(server, client), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._lose_reply_to and self._lose_reply_to.search(data):
                    self._lose_reply_to = None
                    self._losing.set()
                server.sendall(data)
        _cut(server)

    def _replies(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if self._losing.is_set():
                    self._losing.clear()
                    self.lost.set()
                    break
                client.sendall(data)
        _cut(client)


def _cut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextmanager
def lossy_proxy(host: str, port: int) -> Iterator[LossyProxy]:
    """A proxy on loopback before `host:port`."""
    proxy = LossyProxy((host, port))
    try:
        yield proxy
    finally:
        proxy.close()
