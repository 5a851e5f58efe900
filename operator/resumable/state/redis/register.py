"""The lists of runs: of all, of each namespace, and of those that may have been woken.

They are in another slot than the runs, so that on a Cluster no script can change both. A run is put on a list before it
is made (or woken) and taken off after it is removed; whoever is cut off in between leaves a name on the list that does
not belong there. Readers look at each run, skip such names and, once they are old, strike them off. A run that belongs
on a list is never missing on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from resumable.state.record import Run, RunStatus
from resumable.state.redis import rows
from resumable.state.redis.connection import Server
from resumable.state.redis.keys import ALL_RUNS, WOKEN_RUNS, namespace_key, run_key

# A name that does not belong on a list stays on it so long: what puts it there may be under way.
_UNDER_WAY = timedelta(minutes=10)

_PAGE = 500

# Of a run that goes on for something that happened in the store alone, until its next attempt is minted.
_WOKEN = (b"SignalReceived", b"Restarted")

Listed: TypeAlias = list[tuple[str, float]]  # names, and when they were listed, in milliseconds


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


def note_woken(server: Server, run_id: str) -> None:
    """A signal or a restart is about to wake a run, if it waits for that."""
    server.run("note_woken", (WOKEN_RUNS,), rows.request(id=run_id))


def list_runs(server: Server, namespace: str | None, limit: int) -> tuple[Run, ...]:
    """The runs, the newest first. Each is of one moment, together they are not."""
    key = ALL_RUNS if namespace is None else namespace_key(namespace)
    found: list[Run] = []
    gone: Listed = []
    for page in _pages(server, key):
        stored = server.ask_many([("HGETALL", run_key(run_id)) for run_id, _ in page])
        for entry, each in zip(page, stored, strict=True):
            run = rows.to_run({name.decode(): value for name, value in each.items()})
            if run is None:
                gone.append(entry)
            else:
                found.append(run)
        if len(found) >= limit:
            break
    _strike_off(server, key, gone)
    found.sort(key=lambda run: run.id)
    found.sort(key=lambda run: run.created, reverse=True)
    return tuple(found[:limit])


def list_woken(server: Server, limit: int) -> tuple[str, ...]:
    """The runs that are Pending because a signal or a restart woke them, the newest first."""
    woken: list[tuple[int, str]] = []
    settled: Listed = []
    for page in _pages(server, WOKEN_RUNS):
        stored = server.ask_many([("HMGET", run_key(run_id), "status", "reason", "updated") for run_id, _ in page])
        for entry, (status, reason, updated) in zip(page, stored, strict=True):
            if reason in _WOKEN and status == RunStatus.PENDING.encode():
                woken.append((int(updated), entry[0]))
            else:
                settled.append(entry)
    _strike_off(server, WOKEN_RUNS, settled)
    return tuple(run_id for _, run_id in sorted(woken, reverse=True)[:limit])


def all_ids(server: Server) -> list[list[str]]:
    """The ids of all runs, in pages."""
    return [[run_id for run_id, _ in page] for page in _pages(server, ALL_RUNS)]


def _pages(server: Server, key: str) -> Iterator[Listed]:
    """A list, the newest first. Whoever takes names off it meanwhile misses as many others."""
    first = 0
    while True:
        flat = server.read("read_register", key, rows.request(first=first, last=first + _PAGE - 1))
        page = [(name.decode(), float(at)) for name, at in zip(flat[::2], flat[1::2], strict=True)]
        yield page
        if len(page) < _PAGE:
            return
        first += _PAGE


def _strike_off(server: Server, key: str, entries: Listed) -> None:
    """Take old names off a list. The servers' clocks and ours need not agree to the minute."""
    before = (datetime.now(UTC) - _UNDER_WAY).timestamp() * 1000
    if old := {name: listed_at for name, listed_at in entries if listed_at < before}:
        server.run("strike_off", (key,), rows.request(names=old))
