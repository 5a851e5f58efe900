"""A run without an operator: a SQLite file, a lock, and this process mints its own attempts.

The file lock only spares two processes the trouble of fencing each other out; what keeps a run whole is the fence,
here as everywhere.
"""

import fcntl
import logging
import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from resumable.sdk import codec
from resumable.sdk.checkpoint import safe_name
from resumable.sdk.errors import RunIsBusy, RunNotRunnable, Waiting
from resumable.sdk.execution import Ending
from resumable.sdk.exit_codes import ExitCode
from resumable.state.open import open_store
from resumable.state.outcome import Changed, ChangeOutcome, Stale, StoreError
from resumable.state.record import Encoded, EndKind, Fence, Run, RunStatus
from resumable.state.store import AttemptEnd, Expected, NewRun, Store

log = logging.getLogger("resumable")

NAMESPACE = "local"
DEFAULT_FILE = Path(".resumable/state.db")
_SQLITE_FILE = "sqlite:///"

_held_here: set[Path] = set()
_holding = threading.Lock()


class Place:
    """Where local runs are kept: a store, and a folder beside it for locks and checkpoints."""

    def __init__(self, store: Store, folder: Path, *, lock_tells: bool = False) -> None:
        self.store = store
        self.folder = folder
        self.lock_tells = lock_tells  # whoever runs a run of this store holds the lock beside it: it is a local file

    @classmethod
    def open(cls, where: str | Path | None, *, token_file: str | None = None) -> "Place":
        """A store's URL, or the path of a SQLite file that is made when it isn't there."""
        if isinstance(where, str) and where.startswith(_SQLITE_FILE) and "?" not in where:
            where = where.removeprefix(_SQLITE_FILE)  # its locks and checkpoints lie beside it, as of any path
        if isinstance(where, str) and "://" in where:
            return cls(open_store(where, token_file=token_file), DEFAULT_FILE.parent.absolute())
        file = Path(where or DEFAULT_FILE).absolute()
        file.parent.mkdir(parents=True, exist_ok=True)
        if where is None:
            with suppress(FileExistsError), (file.parent / ".gitignore").open("x") as ignore:
                ignore.write("*\n")
        return cls(open_store(f"{_SQLITE_FILE}{file}"), file.parent, lock_tells=True)

    def checkpoints(self) -> Path:
        """The folder for checkpoint files."""
        folder = self.folder / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def lock(self, run_id: str) -> Iterator[None]:
        """Keep other processes of this machine, and threads of this one, off the run. Raises `RunIsBusy`."""
        path = self.folder / "locks" / f"{safe_name(run_id)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with _holding:
            if path in _held_here:
                raise RunIsBusy(f"run {run_id!r} is being run by another thread of this process")
            _held_here.add(path)
        try:
            with path.open("a+b") as file:
                _take(file.fileno(), path, run_id)
                yield
        finally:
            _held_here.discard(path)


def _take(descriptor: int, path: Path, run_id: str) -> None:
    try:
        fcntl.lockf(
            descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB
        )  # not flock: a forked child would hold it on after our death
    except OSError:
        holder = path.read_text(errors="replace").strip()
        raise RunIsBusy(
            f"run {run_id!r} is being run by process {holder or 'unknown'} (lock file {path}); name another with --id"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())


def claim(store: Store, run_id: str, name: str, value: Encoded | None, *, unpause: bool = False) -> Fence | Run:
    """Make the run if it is new and mint its next attempt. A run that is over is returned as it is.

    An attempt that never said how it ended was killed: that is counted first. Raises `RunNotRunnable`, and `Waiting`
    while what the run waits for has not come.
    """
    run = store.create_run(NewRun(id=run_id, namespace=NAMESPACE, name=name, input=value))
    if run.name != name:
        raise RunNotRunnable(f"run {run_id!r} is one of job {run.name!r}, not of {name!r}; name another with --id")
    return claim_run(store, run, value, unpause=unpause)


def claim_run(store: Store, run: Run, value: Encoded | None, *, unpause: bool = False) -> Fence | Run:
    """As `claim`, of the run as it was read: when somebody else claims it meanwhile, `RunNotRunnable`."""
    run_id = run.id
    if run.status.terminal:
        return run
    if run.status in (RunStatus.PAUSED, RunStatus.SUSPENDED):
        if not unpause:
            raise RunNotRunnable(
                f"run {run_id!r} is {run.status} ({run.reason}): {run.message or 'no message'};"
                " restart it (`resumable restart`, `Client.restart`), or start the script with --unpause"
            )
        run = _changed(store.settle(run_id, Expected.of(run), RunStatus.PENDING, reason="Unpaused"), run_id)
    if run.status is RunStatus.WAITING:
        if run.wake_at is None or store.info().now < run.wake_at:
            raise Waiting(waits_for(run))
        run = _changed(store.settle(run_id, Expected.of(run), RunStatus.PENDING, reason="TimerDue"), run_id)
    if run.attempt and run.status in (RunStatus.RUNNING, RunStatus.PENDING):  # counted twice changes nothing
        counted = _changed(
            store.count_end(run_id, _end(run.attempt, EndKind.INTERRUPTION, "ProcessLost", None)), run_id
        )
        if counted.attempt != run.attempt:
            raise _was_changed(run_id)
        run = counted
    if value is not None and not _same(value, run.input):
        log.warning("run %s: its input is replaced; what was done with the old one stands", run_id)
        run = _changed(store.set_input(run_id, Expected.of(run), value), run_id)
    return _changed(store.mint(run_id, Expected.of(run), os.urandom(16).hex()), run_id).fence


def take_over(store: Store, run: Run) -> Fence:
    """Mint the next attempt of a run whose current one has not ended: its process, should it live, is fenced out.

    The mint comes first, so that the old process meets another's fence and no run that nobody runs.
    """
    fence = _changed(store.mint(run.id, Expected.of(run), os.urandom(16).hex()), run.id).fence
    store.count_end(run.id, _end(run.attempt, EndKind.INTERRUPTION, "TakenOver", None))
    return fence


def waits_for(run: Run) -> str:
    """What a waiting run waits for, and what to do, in one sentence."""
    until = f"{run.wake_at:%Y-%m-%d %H:%M:%S} UTC" if run.wake_at else ""
    if not run.wake_on:
        return f"run {run.id!r} waits until {until}; start it again then"
    names = " or ".join(repr(name) for name in run.wake_on)
    limit = f", until {until} at the longest" if until else ""
    command = f"resumable signal {shlex.quote(run.id)} {shlex.quote(run.wake_on[0])} --payload JSON"
    return f"run {run.id!r} waits for the signal {names}{limit}; send it ({command}), then start this again"


def _same(one: Encoded, other: Encoded | None) -> bool:
    of = "the input"
    return other is not None and codec.decode(one, Any, of=of) == codec.decode(other, Any, of=of)


def count(store: Store, fence: Fence, ending: Ending) -> None:
    """Record how this process's attempt ended, as the controller does for a pod. Best effort: the next claim does it
    otherwise.
    """
    match ending.exit_code:
        case ExitCode.DONE | ExitCode.FAILED_FOR_GOOD:
            kind = EndKind.COMPLETION
        case ExitCode.FAILED:
            kind = EndKind.FAILURE
        case ExitCode.WAITING:  # or paused: the worker wrote that itself
            kind = EndKind.COMPLETION
        case ExitCode.INTERRUPTED:
            kind = EndKind.INTERRUPTION
        case ExitCode.FENCED:
            return  # the attempt is somebody else's
    try:
        store.count_end(fence.run_id, _end(fence.attempt, kind, ending.cause, ending))
    except StoreError as error:
        log.warning("the end of attempt %d could not be recorded: %s", fence.attempt, error)


def _end(attempt: int, kind: EndKind, cause: str, ending: Ending | None) -> AttemptEnd:
    again = kind is EndKind.FAILURE or (ending is not None and ending.exit_code is ExitCode.WAITING)
    return AttemptEnd(
        attempt=attempt,
        kind=kind,
        cause=cause,
        message=ending.message if ending else "",
        exit_code=int(ending.exit_code) if ending else None,
        to=RunStatus.PENDING if again else RunStatus.INTERRUPTED,
        reason=cause,
    )


def _changed(outcome: ChangeOutcome, run_id: str) -> Run:
    match outcome:
        case Changed(run):
            return run
        case Stale():
            raise _was_changed(run_id)


def _was_changed(run_id: str) -> RunNotRunnable:
    return RunNotRunnable(f"run {run_id!r} was changed by somebody else at the same moment; start it again")
