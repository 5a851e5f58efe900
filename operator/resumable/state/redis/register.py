"""The list of runs: one sorted set of all, one of each namespace, by time of creation.

It is in another slot than the runs, so that on a Cluster no script can change both. A run is put on the list before it
is made and taken off after it is removed; whoever is cut off in between leaves a name on the list of which there is no
run. Readers skip such names and, once they are old, take them off. A run that is there is never missing on the list.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from resumable.state.record import Run
from resumable.state.redis import rows
from resumable.state.redis.connection import Server
from resumable.state.redis.keys import ALL_RUNS, namespace_key, run_key

# A name without a run is left on the list so long: its run may be about to be made.
_MAY_BE_MADE = timedelta(minutes=10)

_PAGE = 500


@contextmanager
def listed(server: Server, run_id: str, namespace: str) -> Iterator[None]:
    """A run is made meanwhile.

    It is put on the list again afterwards, since one with the same id may have been removed at the same time.
    """
    keys = (ALL_RUNS, namespace_key(namespace))
    server.run("register_run", keys, rows.request(id=run_id))
    yield
    server.run("register_run", keys, rows.request(id=run_id))


def unlist(server: Server, run_id: str, namespace: str | None) -> None:
    """A run was removed. `namespace` None: nobody knows any more which one it was in; that list's readers see to it."""
    keys = [ALL_RUNS] if namespace is None else [ALL_RUNS, namespace_key(namespace)]
    server.ask_many([("ZREM", key, run_id) for key in keys])
    if namespace is not None and server.ask("EXISTS", run_key(run_id)):  # made anew meanwhile
        server.run("register_run", (ALL_RUNS, namespace_key(namespace)), rows.request(id=run_id))


def list_runs(server: Server, namespace: str | None, limit: int) -> tuple[Run, ...]:
    """The runs, the newest first. Each is of one moment, together they are not."""
    key = ALL_RUNS if namespace is None else namespace_key(namespace)
    found: list[Run] = []
    first = 0
    while len(found) < limit:
        page = server.read("read_register", key, rows.request(first=first, last=first + _PAGE - 1))
        listed = [(name.decode(), float(at)) for name, at in zip(page[::2], page[1::2], strict=True)]
        runs = server.ask_many([("HGETALL", run_key(run_id)) for run_id, _ in listed])
        gone: list[tuple[str, float]] = []
        for entry, stored in zip(listed, runs, strict=True):
            run = rows.to_run({name.decode(): each for name, each in stored.items()})
            if run is None:
                gone.append(entry)
            else:
                found.append(run)
        kept = len(listed) - _forget_old(server, key, gone)
        if len(listed) < _PAGE:
            break
        first += kept
    found.sort(key=lambda run: run.id)
    found.sort(key=lambda run: run.created, reverse=True)
    return tuple(found[:limit])


def _forget_old(server: Server, key: str, gone: list[tuple[str, float]]) -> int:
    """Take names off the list whose runs were removed long ago; how many. The clocks need not agree to the minute."""
    before = (datetime.now(UTC) - _MAY_BE_MADE).timestamp() * 1000
    old = [name for name, listed_at in gone if listed_at < before]
    if old:
        server.ask("ZREM", key, *old)
    return len(old)
