"""What can happen to a process at a call of its store."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """A kind of fault."""

    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"  # the store has done it, the worker does not know
    REQUEST_LOST = "request lost"  # StoreUnavailable, and nothing was done
    REPLY_LOST = "reply lost"  # StoreUnavailable, although it was done
    SIGTERM = "SIGTERM"
    # On the wire, so only where there is one.
    CONNECTION_CLOSED = "connection closed"  # by the server while nobody used it
    REPLY_CUT = "reply cut"  # the server closes the connection instead of its n-th reply within the call
    KILLED_INSIDE = "killed inside"  # the worker dies when the server has sent its n-th reply within the call

    @property
    def kills(self) -> bool:
        """Whether the process has no say in how it leaves."""
        return self in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER, Fault.KILLED_INSIDE)


IN_PROCESS = (Fault.KILLED_BEFORE, Fault.KILLED_AFTER, Fault.REQUEST_LOST, Fault.REPLY_LOST, Fault.SIGTERM)


@dataclass(frozen=True)
class Strike:
    """One fault at one call."""

    process: int  # which process of the run, from 1
    call: int  # which of its calls, from 1
    fault: Fault
    turn: int = 0  # which reply within the call, from 1
    of: str = ""  # the call's name; for people

    def __str__(self) -> str:
        at = f" at reply {self.turn}" if self.turn else ""
        return f"{self.fault}{at}: call {self.call} ({self.of}) of process {self.process}"
