"""The script's side: `resumable step|cursor|save|progress|wait|sleep`, inside of `resumable exec`.

Run by its path, with `python -I -S`: a script may call it a thousand times, so it imports next to nothing, and not the
package that it is in. It understands no arguments; the process that holds the attempt does. What it does itself is to
run a step's command, because that belongs to the script: its folder, its variables, its limits, its standard input.

A message is a length of four bytes and fields with NUL bytes between them; only the last field may have some itself.

    call    step, arguments…                    the client, once; step: the one it is in, "" outside
    run     step, limit, seconds, key, command… the answer: run it and say how it ended
    started process group
    ended   exit code, whether its time was over, output
    exit    exit code, message, output          the answer to all that
"""

import os
import select
import signal
import socket
import sys
import time

SOCKET = "RESUMABLE_SOCKET"  # environment.SOCKET, which is not imported here
STEP = "RESUMABLE_STEP"
IDEMPOTENCY_KEY = "RESUMABLE_IDEMPOTENCY_KEY"
IN_SCRIPT = ("step", "cursor", "save", "progress", "wait", "sleep")

LOST = 77  # as ExitCode.FENCED: whatever this script still does is no part of the run
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells have it


class Gone(Exception):
    """The other side has closed the connection, or is dead."""


def send(channel: socket.socket, *fields: str | bytes | int) -> None:
    """Send one message. Raises `Gone`."""
    data = b"\0".join(field if isinstance(field, bytes) else os.fsencode(str(field)) for field in fields)
    try:
        channel.sendall(len(data).to_bytes(4, "big") + data)
    except OSError as error:
        raise Gone from error


def receive(channel: socket.socket) -> list[bytes]:
    """The fields of the next message. Raises `Gone`."""
    data = _exactly(channel, int.from_bytes(_exactly(channel, 4), "big"))
    kind, _, rest = data.partition(b"\0")
    fields = {b"ended": 2, b"exit": 2}.get(kind, -1)
    return [kind, *rest.split(b"\0", fields)]


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        try:
            part = channel.recv(min(size - len(data), 1 << 20))
        except OSError as error:
            raise Gone from error
        if not part:
            raise Gone
        data += part
    return bytes(data)


def call(arguments: list[str]) -> int:
    """Ask the process that holds the attempt. Returns the exit code."""
    path = os.environ.get(SOCKET)
    if not path:
        return _say(
            f"`resumable {arguments[0]}` works inside a script that `resumable exec` has started:"
            " resumable exec -- ./job.sh",
            2,
        )
    channel = socket.socket(socket.AF_UNIX)
    try:
        channel.connect(path)
        send(channel, b"call", os.environ.get(STEP, ""), *arguments)
        while True:
            answer, *fields = receive(channel)
            if answer == b"exit":
                return _end(*fields)
            _run(channel, *fields)
    except (OSError, Gone):
        return _say("the `resumable exec` that started this script is gone: stopping", LOST)


def _end(code: bytes, message: bytes, output: bytes) -> int:
    if message:
        os.write(2, b"resumable: " + message + b"\n")
    while output:
        output = output[os.write(1, output) :]
    return int(code)


def _say(message: str, code: int) -> int:
    os.write(2, f"resumable: {message}\n".encode())
    return code


def _run(channel: socket.socket, step: bytes, limit: bytes, seconds: bytes, key: bytes, *command: bytes) -> None:
    """Run a step's command in a process group of its own, and say how it ended."""
    environment = {**os.environb, STEP.encode(): step, IDEMPOTENCY_KEY.encode(): key}
    read_end, write_end = os.pipe()  # neither is inherited; what is duplicated to 1 is
    try:
        pid = os.posix_spawnp(
            command[0],
            command,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, write_end, 1)],
            setpgroup=0,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores
        )
    except OSError as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        _say(f"{os.fsdecode(command[0])}: {error.strerror}", code)
        os.close(read_end)
        os.close(write_end)
        send(channel, b"started", 0)
        send(channel, b"ended", code, 0, b"")
        return
    os.close(write_end)
    try:
        send(channel, b"started", pid)
        output, in_time = _gather(channel, read_end, int(limit), float(seconds))
    except BaseException:
        os.killpg(pid, signal.SIGKILL)  # its run has gone on, or will, without it
        raise
    if not in_time:
        os.killpg(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(read_end)
    send(channel, b"ended", code, 0 if in_time else 1, output)


def _gather(channel: socket.socket, pipe: int, limit: int, seconds: float) -> tuple[bytes, bool]:
    """What the command prints, no more than one byte above the limit; False: its time (0: none) was over first."""
    output = bytearray()
    until = time.monotonic() + seconds if seconds else None
    while True:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            return bytes(output), False
        for ready in select.select([pipe, channel.fileno()], [], [], left)[0]:
            if ready != pipe:
                raise Gone  # nothing is sent to us meanwhile: it has been closed
            part = os.read(pipe, 1 << 16)
            if not part:
                return bytes(output), True
            output += part[: max(0, limit + 1 - len(output))]


def main() -> None:
    """As the command `resumable` of a script: other subcommands are the full one's."""
    arguments = sys.argv[1:]
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if not arguments or arguments[0] not in IN_SCRIPT or "--help" in options or "-h" in options:
        os.execv(sys.executable, [sys.executable, "-P", "-m", "resumable.cli.main", *arguments])
    sys.exit(call(arguments))


if __name__ == "__main__":
    main()
