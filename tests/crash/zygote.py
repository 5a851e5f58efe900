"""A process that has imported everything and forks one child a case: `python -m tests.crash.zygote`.

A job's start costs a few milliseconds then, instead of the interpreter's and the imports' half a second. It is a
process like any other: with its own signals, threads and descriptors, and it can be killed. The zygote opens no store,
so that no child inherits a connection. It reads one `Order` a line from standard input and answers with the child's id,
then with its exit code.
"""

import gc
import importlib
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

import msgspec

from tests.crash import planted, subject
from tests.crash.faults import Strike
from tests.crash.interposer import Wire, interpose

_NEEDED = (
    "psycopg",
    "pymysql",
    "resumable.sdk.command_line",
    "redis",
    "resumable.state.redis.store",
    "resumable.state.remote",
    "resumable.state.sql.mariadb",
    "resumable.state.sql.postgresql",
    "resumable.state.sql.store",
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One process to be started."""

    subject: str
    arguments: list[str] | None = None
    environment: dict[str, str]
    folder: str
    strikes: list[Strike] = []
    control: str = ""  # the wire's control socket
    planted: str = ""  # the name of a bug (`planted.BUGS`)


def child(order: Order) -> NoReturn:
    """What a job's own process does: its script calls `main()`."""
    code: Any = 70
    try:
        os.chdir(order.folder)
        output = os.open("output.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(output, stream)
        for name in [name for name in os.environ if name.startswith("RESUMABLE_")]:
            del os.environ[name]
        os.environ.update(order.environment)
        wire = Wire(order.control) if order.control else None
        interpose(order.strikes, wire, planted.BUGS[order.planted] if order.planted else None)
        subject.subject(order.subject).job.main(order.arguments)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - it is the judge who tells what that means
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Fork until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then close our input
    for name in subject.names():
        subject.subject(name)
    for module in _NEEDED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a child's collections would copy every page
    orders, answers = os.fdopen(0, "rb"), os.fdopen(1, "wb", buffering=0)
    while line := orders.readline():
        order = msgspec.json.decode(line, type=Order)
        pid = os.fork()
        if pid == 0:
            child(order)
        answers.write(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        answers.write(b"%d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
