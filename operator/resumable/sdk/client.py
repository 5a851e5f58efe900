"""`Client`: runs from any program that reaches their store.

```python
with Client("sqlite:////var/lib/shop/runs.db") as client:
    client.start(provision, {"workspace": "ann"}, id="ann")
    client.signal("ann", "approval", Approval(granted=True), sender="mia")
    print(client.result("ann", provision, timeout="1h"))
```

A client is no operator. What it starts or resumes runs in a thread of this program, one attempt of it: when that ends
unfinished (the program ended, an exception left the job, a long wait) somebody resumes it. Runs of an operator, on a
cluster or under `resumable run`, are read, signalled, restarted and forked from here, but started, stopped and
cancelled by their ResumableJob: else operator and client would work against each other.
"""

import secrets
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar, overload

from resumable.sdk import codec
from resumable.sdk.errors import RunIsBusy, RunNotRunnable, Waiting
from resumable.sdk.in_process import Claimed, JobRun, in_thread
from resumable.sdk.job import JobDefinition
from resumable.sdk.local_run import DEFAULT_FILE, NAMESPACE, Place, claim_run, take_over
from resumable.sdk.polling import Timeout, wait
from resumable.sdk.polls_runs import TRIES, PollsRuns, changes_too_often, since
from resumable.sdk.run_info import RunDetails, RunInfo, details, info, is_operated, live_attempt, standing
from resumable.sdk.sender import this_user
from resumable.sdk.step_options import check_name, key_text
from resumable.state.outcome import AlreadySent, Changed, NoSuchRun, RunEnded, Sent
from resumable.state.record import Encoded, Fence, Run, RunStatus, RunView, StepRef
from resumable.state.store import Expected, NewRun, NewSignal, RestartRequest, Store

R = TypeVar("R")
T = TypeVar("T")


class Client(PollsRuns):
    """Starts, lists, inspects, signals, restarts and cancels runs.

    `store` is a store's URL, the path of a SQLite file, which is made when it isn't there (default:
    `.resumable/state.db`, as of `job.main()`), or a `Store`, which stays the caller's to close. `token_file` holds the
    token for a state service. Thread-safe. Every call may raise `StoreUnavailable` and `StoreRefused`.
    """

    def __init__(self, store: Store | str | Path | None = None, *, token_file: str | Path | None = None) -> None:
        self._owned = store is None or isinstance(store, str | Path)
        if store is None or isinstance(store, str | Path):
            self._place = Place.open(store, token_file=str(token_file) if token_file else None)
        else:
            self._place = Place(store, DEFAULT_FILE.parent.absolute())
        self._store = self._place.store
        self._counting = threading.Lock()
        self._users = 1  # this client, and each run that goes on in a thread
        self._closed = False

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store, once the runs that go on in this program have ended. Does not stop them."""
        if not self._closed:
            self._closed = True
            self._release()

    # Running here

    def start(
        self, job: JobDefinition[..., R], values: Mapping[str, Any] | None = None, /, *, id: str | None = None
    ) -> JobRun[R]:
        """Start a run, or continue one that nobody runs, in a thread of this program.

        ```python
        run = client.start(provision, {"workspace": "ann"}, id="ann")
        run.result(timeout=60)      # or client.result("ann", provision), from any program
        ```

        With the same `id` again it is the same run; without one it is a new run with an id of its own (`run.id`). Only
        the record and this program are involved: on a cluster a run is made by applying a ResumableJob. Raises
        `InvalidInput`, `RunIsBusy` (an attempt has not ended: `resume` takes it over), `RunNotRunnable` (it waits, is
        paused, is another job's, or an operator's).
        """
        value = None if values is None else job.inputs.encode(values)
        run_id = id or f"{job.name}-{secrets.token_hex(4)}"
        with ExitStack() as locked:
            self._hold(locked)
            if self._place.lock_tells:
                locked.enter_context(self._place.lock(run_id))
            if value is None and self._store.get_run(run_id) is None:
                value = job.inputs.encode({})  # raises what is missing, before there is a record
            run = self._store.create_run(NewRun(id=run_id, namespace=NAMESPACE, name=job.name, input=value))
            view = self._view(run.id)
            self._check_runs_here(job, view, unpause=False)
            if not self._place.lock_tells and (living := live_attempt(view)) is not None:
                raise RunIsBusy(
                    f"{standing(run)}, which has not said how it ended ({since(living)}): it runs, or its process"
                    " died. result() waits for it, resume() takes it over"
                )
            return self._carry_out(job, _claimed(self._store, view.run, value), locked)

    def resume(
        self, job: JobDefinition[..., R], id: str, /, *, unpause: bool = False, operator_is_gone: bool = False
    ) -> JobRun[R]:
        """Take a run over and go on with it, in a thread of this program, from whatever is stored.

        ```python
        client.resume(provision, "ann").result()
        ```

        Any process that reaches the store may: the next attempt is minted, and a process that still works on the
        earlier one is refused its next write (`Fenced`, exit code 77). Nothing that is stored is lost, but what it has
        not saved is done again: `stop` first where it can still be asked. Checkpoint files are found where this
        program's disk has them.

        `unpause` goes on with a paused run. `operator_is_gone` takes an operator's run: while the operator lives it
        would start an attempt against this one. Raises `RunNotFound`, `RunNotRunnable`.
        """
        with ExitStack() as locked:
            self._hold(locked)
            if self._place.lock_tells:
                with suppress(RunIsBusy):
                    locked.enter_context(self._place.lock(id))
            view = self._view(id)
            self._check_runs_here(job, view, unpause=unpause, operator_is_gone=operator_is_gone)
            if live_attempt(view) is not None:
                return self._carry_out(job, take_over(self._store, view.run), locked)
            return self._carry_out(job, _claimed(self._store, view.run, None, unpause=unpause), locked)

    # Reading

    def list(
        self,
        *,
        namespace: str | None = None,
        name: str | None = None,
        status: RunStatus | str | None = None,
        limit: int = 500,
    ) -> tuple[RunInfo, ...]:
        """The newest `limit` runs, the newest first; of these the ones of a job's name, or with a status.

        Raises `ValueError` for a status that there isn't.
        """
        wanted = None if status is None else RunStatus(status)
        runs = self._store.list_runs(namespace, limit=limit)
        return tuple(info(run) for run in runs if name in (None, run.name) and wanted in (None, run.status))

    def get(self, id: str, /, *, steps: int = 100) -> RunDetails:
        """The run with its attempts and at most `steps` steps: status, reason, what it waits for, progress.

        Raises `RunNotFound`.
        """
        return details(self._view(id, steps=steps))

    @overload
    def result(self, id: str, job: JobDefinition[..., R], /, *, timeout: Timeout = None) -> R: ...

    @overload
    def result(self, id: str, kind: type[T], /, *, timeout: Timeout = None) -> T: ...

    @overload
    def result(self, id: str, /, *, timeout: Timeout = None) -> Any: ...

    def result(self, id: str, kind: Any = Any, /, *, timeout: Timeout = None) -> Any:
        """Wait until the run is over, and give its result, as the type that its job returns, or as `kind`.

        ```python
        customer = client.result("ann", provision, timeout="10m")
        ```

        It looks at the run's row at most once a second, wherever the run goes on. A run that is interrupted, waits or
        is paused is waited for. `timeout` is in seconds, or "10m"; None: as long as it takes. Raises `TimeoutError`,
        which says where the run is, `RunFailed`, `RunNotFound`, `UnreadableResult`; a store that is away is waited for
        up to 15 minutes, or until the timeout.
        """
        return wait(self._result(id, kind, timeout))

    # Changing

    def signal(
        self, id: str, name: str, payload: Any = None, /, *, signal_id: str | None = None, sender: str | None = None
    ) -> bool:
        """Send a signal, for the run's wait of that name (`j.wait`). False: one with this `signal_id` was sent before.

        ```python
        client.signal("ann", "approval", Approval(granted=True), signal_id=request.id, sender=user.email)
        ```

        Kept until a wait takes it, so it may come early. It wakes a run that waits for it: an operator starts the next
        attempt, elsewhere `start` or `resume` does. `sender` (default: user@host) is what the sender says of itself.
        Raises `RunNotFound`, `RunNotRunnable` (the run is over), `UnstorableResult`.
        """
        check_name(name)
        encoded = None if payload is None else codec.encode(payload, type(payload), of=f"signal {name!r}: the payload")
        sent_as = signal_id or secrets.token_hex(16)
        new = NewSignal(id=sent_as, name=name, payload=encoded, sender=this_user() if sender is None else sender)
        match self._store.send_signal(id, new):
            case Sent():
                return True
            case AlreadySent():
                return False
            case RunEnded(status=status):
                raise RunNotRunnable(f"run {id!r} is over ({status}): no wait of it will take the signal {name!r}")
            case NoSuchRun():
                raise self._not_found(id)

    def restart(
        self,
        id: str,
        /,
        *,
        from_step: str | tuple[str, object] | None = None,
        forget: Iterable[str | tuple[str, object]] = (),
        request_id: str | None = None,
    ) -> RunInfo:
        """Let a run be run again in place, whatever its status: with all that is stored, or without what is forgotten.

        ```python
        client.restart("ann", from_step="ship", forget=["log-in", ("price", 4711)])
        client.resume(provision, "ann")
        ```

        `from_step` forgets that step and all that came after it; a step is a name (with all its keys) or (name, key).
        The same `request_id` again does nothing. Only the record is changed: an operator starts the next attempt,
        elsewhere `start` or `resume` does. Raises `RunNotFound`, `RunIsBusy` (an attempt has not ended: `stop` or
        `cancel` it first), `StoreRefused` (there is no such step; it names those there are).
        """
        request = RestartRequest(
            request_id=request_id or secrets.token_hex(8),
            from_step=None if from_step is None else _step(from_step),
            forget=tuple(map(_step, forget)),
        )
        for _ in range(TRIES):
            view = self._view(id)
            if isinstance(outcome := self._store.restart(id, Expected.of(view.run), request), Changed):
                return info(outcome.run)
            if (living := live_attempt(view)) is not None:
                first = "spec.restart does both" if is_operated(view) else "stop() or cancel() it first"
                raise RunIsBusy(f"{standing(view.run)}, which has not ended ({since(living)}): {first}")
        raise changes_too_often(id)

    def fork(
        self,
        id: str,
        new_id: str,
        /,
        *,
        up_to: str | tuple[str, object] | None = None,
        job: JobDefinition[..., Any] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> RunInfo:
        """Make another run that begins with this one's finished steps, payload and input.

        ```python
        client.fork("ann", "ann-trial", up_to="load")
        client.start(provision, id="ann-trial")
        ```

        `up_to` is the last step to take over (default: all that are done), `values` replaces the input. `job` is the
        one that will run it, when that has another name than the source (a ResumableJob's run has its name). The new
        run belongs to no operator. Sent again it is the same fork. Raises `RunNotFound`, `RunNotRunnable` (the new id
        is taken), `InvalidInput`, `StoreRefused` (there is no such step).
        """
        source = self._view(id).run
        name = job.name if job is not None else source.name
        value = None
        if values is not None:
            value = job.inputs.encode(values) if job is not None else codec.encode(dict(values), Any, of="the input")
        new = NewRun(id=new_id, namespace=NAMESPACE, name=name, input=value)
        forked = self._store.fork_run(id, new, None if up_to is None else _step(up_to))
        if forked is None:
            raise self._not_found(id)
        if forked.forked_from != id:
            raise RunNotRunnable(f"there is a run {new_id!r} already, which is no fork of {id!r}: give another new id")
        return info(forked)

    def stop(self, id: str, /, *, timeout: Timeout = "1m") -> RunInfo:
        """Ask the process that runs it to save and leave, and wait until it has. `resume` goes on.

        It hears of it within two seconds and leaves at its next safe point. A run without a process is left as it is.
        Raises `RunNotFound`, `RunNotRunnable` (an operator would start it again: set spec.suspend), `TimeoutError`.
        """
        return wait(self._stop(id, timeout))

    def cancel(self, id: str, /, *, timeout: Timeout = "1m", force: bool = False) -> RunInfo:
        """End a run for good. A process that runs it is asked to save and leave, and is waited for.

        What it finished before it heard of it stands, also a whole success: look at the status that is returned. A
        process that died can't answer, nor one that can't hear: after the timeout `TimeoutError` is raised, or with
        `force` the run is ended all the same, and nothing that such a process does is stored any more. `restart` is the
        way back. Raises `RunNotFound`, `RunNotRunnable` (an operator's run: set spec.cancel).
        """
        return wait(self._cancel(id, timeout, force))

    # How it is done

    def _hold(self, locked: ExitStack) -> None:
        """Keep the store open as long as what is held is."""
        with self._counting:
            self._users += 1
        locked.callback(self._release)

    def _release(self) -> None:
        with self._counting:
            self._users -= 1
            last = self._users == 0
        if last and self._owned:
            self._store.close()

    def _check_runs_here(
        self, job: JobDefinition[..., Any], view: RunView, *, unpause: bool, operator_is_gone: bool = False
    ) -> None:
        run = view.run
        if is_operated(view):
            if not operator_is_gone:
                raise RunNotRunnable(
                    f"{standing(run)}: an operator looks after it (namespace {run.namespace!r}) and would start an"
                    " attempt against this one. fork() makes a run of your own; resume(…, operator_is_gone=True) is for"
                    " when there is no operator any more"
                )
        elif run.name != job.name:
            raise RunNotRunnable(f"run {run.id!r} is one of job {run.name!r}, not of {job.name!r}: give another id")
        if run.status in (RunStatus.PAUSED, RunStatus.SUSPENDED) and not unpause:
            raise RunNotRunnable(f"{standing(run)}; resume(…, unpause=True) goes on all the same")

    def _carry_out(self, job: JobDefinition[..., R], claimed: Fence | Run, locked: ExitStack) -> JobRun[R]:
        run_id = claimed.id if isinstance(claimed, Run) else claimed.run_id
        return in_thread(Claimed(job, run_id, self._place, claimed, locked.pop_all()))


def _claimed(store: Store, run: Run, value: Encoded | None, *, unpause: bool = False) -> Fence | Run:
    try:
        return claim_run(store, run, value, unpause=unpause)
    except Waiting as waiting:  # no exception for a program's own code: it derives from BaseException
        raise RunNotRunnable(str(waiting)) from None


def _step(named: str | tuple[str, object]) -> StepRef:
    name, key = (named, None) if isinstance(named, str) else (named[0], key_text(named[1]))
    check_name(name)
    return StepRef(name, key)
