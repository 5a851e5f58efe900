"""`AsyncClient`: `Client` for programs with an event loop. The store is asked in threads; waits are the loop's.

```python
async with AsyncClient("sqlite:////var/lib/shop/runs.db") as client:
    await client.start(provision, {"workspace": "ann"}, id="ann")
    print(await client.result("ann", provision, timeout="1h"))
```
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, overload

from resumable.sdk.client import Client
from resumable.sdk.in_process import JobRun
from resumable.sdk.job import JobDefinition
from resumable.sdk.off_loop import off_loop
from resumable.sdk.polling import Found, Polling, Timeout, look
from resumable.sdk.polls_runs import STOP_REQUESTED
from resumable.sdk.run_info import RunDetails, RunInfo
from resumable.state.record import RunStatus
from resumable.state.store import Store

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_THREADS = 8  # as many calls at a time


class AsyncClient:
    """As `Client`, whose methods say more of each; awaited. To be made, used and closed in one event loop."""

    def __init__(self, store: Store | str | Path | None = None, *, token_file: str | Path | None = None) -> None:
        self._client = Client(store, token_file=token_file)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resumable-client")

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the store, once the runs that go on in this program have ended. Does not stop them."""
        await self._call(self._client.close)
        self._threads.shutdown(wait=False)

    async def start(
        self, job: JobDefinition[..., R], values: Mapping[str, Any] | None = None, /, *, id: str | None = None
    ) -> JobRun[R]:
        """Start a run, or continue one that nobody runs: in a thread, an async job in an event loop of its own there.

        `await client.result(run.id, job)` waits for it; `await job.arun(…)` runs an async job in this loop.
        """
        return await self._call(lambda: self._client.start(job, values, id=id))

    async def resume(
        self, job: JobDefinition[..., R], id: str, /, *, unpause: bool = False, operator_is_gone: bool = False
    ) -> JobRun[R]:
        """Take a run over and go on with it, in a thread of this program."""
        return await self._call(
            lambda: self._client.resume(job, id, unpause=unpause, operator_is_gone=operator_is_gone)
        )

    async def list(
        self,
        *,
        namespace: str | None = None,
        name: str | None = None,
        status: RunStatus | str | None = None,
        limit: int = 500,
    ) -> tuple[RunInfo, ...]:
        """The newest `limit` runs, the newest first; of these the ones of a job's name, or with a status."""
        return await self._call(lambda: self._client.list(namespace=namespace, name=name, status=status, limit=limit))

    async def get(self, id: str, /, *, steps: int = 100) -> RunDetails:
        """The run with its attempts and at most `steps` steps."""
        return await self._call(lambda: self._client.get(id, steps=steps))

    @overload
    async def result(self, id: str, job: JobDefinition[..., R], /, *, timeout: Timeout = None) -> R: ...

    @overload
    async def result(self, id: str, kind: type[T], /, *, timeout: Timeout = None) -> T: ...

    @overload
    async def result(self, id: str, /, *, timeout: Timeout = None) -> Any: ...

    async def result(self, id: str, kind: Any = Any, /, *, timeout: Timeout = None) -> Any:
        """Wait until the run is over, and give its result. Cancelled, it stops waiting; the run goes on."""
        return await self._wait(self._client._result(id, kind, timeout))

    async def signal(
        self, id: str, name: str, payload: Any = None, /, *, signal_id: str | None = None, sender: str | None = None
    ) -> bool:
        """Send a signal, for the run's wait of that name. False: one with this `signal_id` was sent before."""
        return await self._call(lambda: self._client.signal(id, name, payload, signal_id=signal_id, sender=sender))

    async def restart(
        self,
        id: str,
        /,
        *,
        from_step: str | tuple[str, object] | None = None,
        forget: Iterable[str | tuple[str, object]] = (),
        request_id: str | None = None,
    ) -> RunInfo:
        """Let a run be run again in place, without what is forgotten."""
        return await self._call(
            lambda: self._client.restart(id, from_step=from_step, forget=forget, request_id=request_id)
        )

    async def fork(
        self,
        id: str,
        new_id: str,
        /,
        *,
        up_to: str | tuple[str, object] | None = None,
        job: JobDefinition[..., Any] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> RunInfo:
        """Make another run that begins with this one's finished steps, payload and input."""
        return await self._call(lambda: self._client.fork(id, new_id, up_to=up_to, job=job, values=values))

    async def stop(self, id: str, /, *, timeout: Timeout = "1m") -> RunInfo:
        """Ask the process that runs it to save and leave, and wait until it has."""
        return await self._wait(self._client._stop(id, timeout, STOP_REQUESTED))

    async def cancel(self, id: str, /, *, timeout: Timeout = "1m", force: bool = False) -> RunInfo:
        """End a run for good. A process that runs it is asked to save and leave, and is waited for."""
        return await self._wait(self._client._cancel(id, timeout, force))

    async def _call(self, function: Callable[[], T]) -> T:
        return await off_loop(self._threads, function)

    async def _wait(self, polling: Polling[T]) -> T:
        while not isinstance(found := await self._call(lambda: look(polling)), Found):
            await asyncio.sleep(found)
        return found.value
