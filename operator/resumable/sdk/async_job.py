"""`async def` jobs: the same names as in a plain job, awaited.

```python
from resumable import AsyncJob, job

@job("crawl")
async def crawl(j: AsyncJob, urls: list[str]) -> int:
    pages = await asyncio.gather(*(j.options(key=url).step("fetch", fetch, url) for url in urls))
    return await j.step("index", build_index, pages)      # a plain function runs in a thread
```

Steps may run at the same time, as tasks do. The event loop never waits for the store.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from resumable.sdk.async_context import AsyncStepContext
from resumable.sdk.async_map import AsyncMapsItems
from resumable.sdk.async_transaction import AsyncRunsTransactions
from resumable.sdk.async_waits import AsyncWaits
from resumable.sdk.attempt_view import AttemptView
from resumable.sdk.compensation import RegistersUndo
from resumable.sdk.context import StepContext
from resumable.sdk.step_options import StepOptions, TakesOptions, check_name, key_text
from resumable.sdk.step_run import StepRun

if TYPE_CHECKING:
    from resumable.sdk.async_scope import AsyncScope  # it loads asyncio, which only an async job needs

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")


class AsyncStepCaller(AsyncMapsItems, AsyncWaits, AsyncRunsTransactions):
    """The one typed way to call a step. `AsyncJob` is one, and so is what `AsyncJob.options(...)` returns."""

    def __init__(self, scope: "AsyncScope", options: StepOptions) -> None:
        self._scope = scope
        self._said = options

    @overload
    async def step(
        self,
        name: str,
        fn: Callable[Concatenate[AsyncStepContext[C], P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...

    @overload
    async def step(
        self, name: str, fn: Callable[Concatenate[StepContext[C], P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    async def step(
        self, name: str, fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    async def step(self, name: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def step(self, name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """The step's result, when it is awaited: of this call, or stored by an earlier attempt that finished it.

        `fn` is an `async def` or a plain function, which runs in a thread. A first parameter that is annotated
        `AsyncStepContext` (in a plain function `StepContext`) gets one. An exception of `fn` is recorded and passes on;
        the next attempt runs the step again. Raises `DuplicateStep` when the name was met before in this attempt (give
        the passes of a loop a key: `j.options(key=…).step(…)`), and `UnstorableResult`. The way in is a safe point.

        Steps may run at the same time: `await asyncio.gather(j.step(…), j.step(…))`. A task that is cancelled has not
        failed; nothing is stored of its step but what it saved itself.
        """
        return self._scope.step(StepRun(self._scope.steps, self._said, name, fn), fn, args, kwargs)


class AsyncJob(AsyncStepCaller, AttemptView, RegistersUndo, TakesOptions[AsyncStepCaller]):
    """The attempt as an async job's function sees it: its first parameter."""

    _awaits = True

    def __init__(self, name: str, scope: "AsyncScope", max_result_bytes: int) -> None:
        AsyncStepCaller.__init__(self, scope, StepOptions(max_result_bytes=max_result_bytes))
        AttemptView.__init__(self, name, scope.steps)
        self._undo = scope.steps.undo

    @property
    def _options(self) -> StepOptions:
        return self._said

    def _caller(self, options: StepOptions) -> AsyncStepCaller:
        if options.compensate is not None:
            self._check_outside_of_steps("options(compensate=)")
        return AsyncStepCaller(self._scope, options)

    async def stop_if_asked(self) -> None:
        """A safe point: leaves the job here if it was asked to."""
        await self._scope.leaving.safe_point()

    async def forget(self, name: str, /, *, key: object = None) -> None:
        """Remove what is stored of a step, its result and its cursor: when it is met again, it runs.

        ```python
        token = await j.step("log-in", log_in)
        if token.expires < datetime.now(UTC):
            await j.forget("log-in")
            token = await j.step("log-in", log_in)
        ```

        Durable when it has been awaited; a step that is not stored is none to forget. Code outside steps runs in each
        attempt, and so does this. Raises `InvalidStep`.
        """
        check_name(name)
        await self._scope.write_alone(self._attempt.forget, name, key_text(key))
