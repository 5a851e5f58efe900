"""The acknowledged writes that no later one has named yet.

Each write names one, and the store refuses it (`Rewound`) when that one is gone. Of writes that follow each other the
last is enough: naming it, the next one vouches for all before it. Of writes that were under way at the same time nobody
knows which was committed last, so each of them is named in its turn.
"""

import threading
from collections import deque

from resumable.state.record import WriteRef


class Acknowledged:
    """Thread-safe. Never more than are under way at the same time, twice."""

    def __init__(self) -> None:
        self._refs: deque[WriteRef] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._refs)

    def to_name(self) -> WriteRef | None:
        """What the next write names; each in its turn."""
        with self._lock:
            if not self._refs:
                return None
            self._refs.rotate(-1)
            return self._refs[-1]

    def add(self, ref: WriteRef | None, *, named: WriteRef | None) -> None:
        """A write that named `named` was acknowledged; `ref` is how the next ones name it (None: they can't)."""
        with self._lock:
            if ref is not None:
                self._refs.append(ref)
            if named is not None and len(self._refs) > 1 and named in self._refs:
                self._refs.remove(named)

    def forget(self, name: str, key: str) -> None:
        """The step is about to be removed: its writes are not to be named any more."""
        with self._lock:
            self._refs = deque(ref for ref in self._refs if (ref.name, ref.key) != (name, key))
