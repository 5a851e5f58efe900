"""How large a value a store takes.

A record is read whole when a run resumes, and a value passes through the memory of the worker, the service and the
database at once. Large data belongs where the job keeps its files; a step returns where it is.
"""

from resumable.state.outcome import StoreRefused
from resumable.state.record import Encoded

# Every engine takes this much (SQLite 1 GB, PostgreSQL 1 GB), though a server may be told to take less.
LARGEST_VALUE = 64 * 1024 * 1024


def label(name: str, key: str) -> str:
    """A step as people write it: `thumb[7]`."""
    return f"{name}[{key}]" if key else name


def check_size(value: Encoded | None, what: str, name: str = "", key: str = "") -> None:
    """Raise `StoreRefused` for a value that is too large: `what` it is, and of which step."""
    if value is None or len(value.data) <= LARGEST_VALUE:
        return
    of = f" of step {label(name, key)}" if name else ""
    raise StoreRefused(
        f"the {what}{of} has {len(value.data):,} bytes; a store takes at most {LARGEST_VALUE:,}: keep large"
        " data in a file or an object store, and store where it is"
    )
