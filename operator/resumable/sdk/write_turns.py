"""Which writes of an attempt may be under way at the same time.

Results and cursors of different steps may: so the items of a `map` don't wait for each other's round trips, and a store
that commits in groups has a group. A write that carries the payload, that ends something or forgets something goes
alone: of two payloads the newer has to be the last, and no write may name as its predecessor one that is about to go.
"""

import threading
from types import TracebackType


class WriteTurns:
    """`with turns.together:` many at a time; `with turns.alone:` nobody else, and whoever waits for that goes first.

    Within `alone` the same thread may enter either again; within `together` it may not ask for `alone`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._together = 0
        self._owner = 0  # the thread that is alone
        self._depth = 0
        self._waiting = 0  # for being alone
        self.together = _Together(self)
        self.alone = _Alone(self)


class _Turn:
    def __init__(self, turns: WriteTurns) -> None:
        self._turns = turns


class _Together(_Turn):
    def __enter__(self) -> None:
        turns = self._turns
        if turns._owner == threading.get_ident():
            turns._depth += 1
            return
        with turns._changed:
            while turns._owner or turns._waiting:
                turns._changed.wait()
            turns._together += 1

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        turns = self._turns
        if turns._owner == threading.get_ident():
            turns._depth -= 1
            return
        with turns._changed:
            turns._together -= 1
            if not turns._together:
                turns._changed.notify_all()


class _Alone(_Turn):
    def __enter__(self) -> None:
        turns = self._turns
        me = threading.get_ident()
        if turns._owner == me:
            turns._depth += 1
            return
        with turns._changed:
            turns._waiting += 1
            try:
                while turns._owner or turns._together:
                    turns._changed.wait()
                turns._owner, turns._depth = me, 1
            finally:
                turns._waiting -= 1
                if not turns._owner:
                    turns._changed.notify_all()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        turns = self._turns
        turns._depth -= 1
        if turns._depth:
            return
        with turns._changed:
            turns._owner = 0
            turns._changed.notify_all()
