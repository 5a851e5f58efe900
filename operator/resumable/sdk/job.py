"""`@job`: a job is ordinary Python, its steps are what is remembered.

```python
from resumable import Job, job

@job("provision-workspace", version="3")
def provision(j: Job, workspace_id: str) -> str:
    customer = j.step("create-billing-customer", create_customer, workspace_id)
    for product in PRODUCTS:
        j.options(key=product.id).step("ship", ship, product, customer)
    return customer

if __name__ == "__main__":
    provision.main()
```

A finished step's result is stored, and no later attempt runs it again. Code outside steps simply runs again in each
attempt.
"""

import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, Protocol, TypeVar, overload

from resumable.sdk.annotations import parameters
from resumable.sdk.async_job import AsyncJob
from resumable.sdk.attempt_view import AttemptView
from resumable.sdk.code_version import OnVersionMismatch, check_policy
from resumable.sdk.codec import DEFAULT_LIMIT
from resumable.sdk.compensation import RegistersUndo
from resumable.sdk.errors import EventLoopRunning, JobDefinitionError
from resumable.sdk.inputs import Inputs
from resumable.sdk.payload import DEFAULT_LIMIT as DEFAULT_PAYLOAD_LIMIT
from resumable.sdk.retention import FOREVER, Keep, run_kept_ms
from resumable.sdk.run_timeout import check_run_timeout
from resumable.sdk.step import StepCaller
from resumable.sdk.step_options import StepOptions, TakesOptions, check_name, key_text
from resumable.sdk.step_run import StepScope

if TYPE_CHECKING:
    from resumable.sdk.in_process import JobRun
    from resumable.state.store import Store

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Job(StepCaller, AttemptView, RegistersUndo, TakesOptions[StepCaller]):
    """The attempt as the job's function sees it: its first parameter."""

    def __init__(self, name: str, scope: StepScope, max_result_bytes: int) -> None:
        StepCaller.__init__(self, scope, StepOptions(max_result_bytes=max_result_bytes))
        AttemptView.__init__(self, name, scope)
        self._undo = scope.undo

    @property
    def _options(self) -> StepOptions:
        return self._said

    def _caller(self, options: StepOptions) -> StepCaller:
        if options.compensate is not None:
            self._check_outside_of_steps("options(compensate=)")
        return StepCaller(self._scope, options)

    def stop_if_asked(self) -> None:
        """A safe point: leaves the job here if it was asked to."""
        self._attempt.interruption.safe_point()

    def forget(self, name: str, /, *, key: object = None) -> None:
        """Remove what is stored of a step, its result and its cursor: when it is met again, it runs.

        ```python
        token = j.step("log-in", log_in)
        if token.expires < datetime.now(UTC):
            j.forget("log-in")
            token = j.step("log-in", log_in)
        ```

        Durable when it returns; a step that is not stored is none to forget. Code outside steps runs in each attempt,
        and so does this. Raises `InvalidStep`.
        """
        check_name(name)
        self._scope.attempt.forget(name, key_text(key))


class JobDefinition(Generic[P, R_co]):
    """What `@job` makes of a function. `R_co` is what it returns, or what is awaited of an `async def`."""

    def __init__(
        self,
        name: str,
        version: str,
        function: Callable[..., Any],
        max_result_bytes: int,
        on_version_mismatch: OnVersionMismatch = "resume",
        max_payload_bytes: int = DEFAULT_PAYLOAD_LIMIT,
        keep: Keep = FOREVER,
        timeout: str | timedelta | None = None,
    ) -> None:
        self.max_payload_bytes = max_payload_bytes
        self.kept_ms = run_kept_ms(name, keep)
        self.timeout = check_run_timeout(name, timeout)
        self.name = name
        self.version = version
        self.on_version_mismatch = on_version_mismatch
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.max_result_bytes = max_result_bytes
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    @property
    def inputs(self) -> Inputs:
        """The job's parameters. Resolved late: an annotation may name what the module defines further down."""
        return Inputs(self.name, self.function)

    def main(self, arguments: Sequence[str] | None = None) -> NoReturn:
        """Run as a process of its own, and exit.

        Started by the operator (its environment variables are there) it runs the attempt that it was started for.
        Anywhere else it runs on a local SQLite file: start it again to go on. `--help` says how.
        """
        self._check_no_loop_runs("main()")
        from resumable.sdk.main import main

        main(self, arguments)

    def start(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        store: "Store | str | Path | None" = None,
    ) -> "JobRun[R_co]":
        """Start or continue a run in a thread of this process and return a handle; for notebooks, applications and
        tests.

        `values` are the job's arguments, `id` names the run (default: the job's name), `store` is a store, its URL,
        or a path of a SQLite file (default: `.resumable/state.db`). No signals are taken over. Raises `InvalidInput`,
        `RunIsBusy`, `RunNotRunnable`.
        """
        from resumable.sdk.in_process import start

        return start(self, values, run_id=id, store=store)

    def run(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        store: "Store | str | Path | None" = None,
    ) -> R_co:
        """As `start`, but in this thread. Returns the job's result, the stored one when it was finished before.

        An async job gets an event loop of its own. Raises `EventLoopRunning` where one runs: `await job.arun(…)` there.
        """
        from resumable.sdk.in_process import run

        self._check_no_loop_runs("run()")
        return run(self, values, run_id=id, store=store)

    async def arun(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        store: "Store | str | Path | None" = None,
    ) -> R_co:
        """As `run`, awaited: an async job runs in the event loop that runs now, a plain one in a thread.

        When the task that awaits it is cancelled, the job is interrupted, and goes on when it is run again.
        """
        from resumable.sdk.in_loop import arun

        return await arun(self, values, run_id=id, store=store)

    def _check_no_loop_runs(self, call: str) -> None:
        if self.is_async and "asyncio" in sys.modules and sys.modules["asyncio"]._get_running_loop() is not None:
            raise EventLoopRunning(
                f"job {self.name!r} is async, and an event loop runs here, which {call} would bring to a stand:"
                " write `await job.arun(…)`, or take a handle from job.start(…)"
            )


class _Define(Protocol):
    """The decorator, typed for plain and for async functions."""

    @overload
    def __call__(self, function: Callable[Concatenate[AsyncJob, P], Coroutine[Any, Any, R]]) -> JobDefinition[P, R]: ...

    @overload
    def __call__(self, function: Callable[Concatenate[Job, P], R]) -> JobDefinition[P, R]: ...


def job(
    name: str,
    *,
    version: str = "",
    max_result_bytes: int = DEFAULT_LIMIT,
    max_payload_bytes: int = DEFAULT_PAYLOAD_LIMIT,
    on_version_mismatch: OnVersionMismatch = "resume",
    keep: Keep = FOREVER,
    timeout: str | timedelta | None = None,
) -> _Define:
    """Make a function a job. Its first parameter is the `Job` (an `async def`'s: the `AsyncJob`), the others are its
    input, by name.

    `version` is kept with the run and shown; `on_version_mismatch` says what to do with a run whose steps another
    version stored: go on by name ("resume"), wait for a person ("pause"), or "fail". `max_result_bytes` limits each
    stored result, `max_payload_bytes` the payload. `keep`: how long the record of a run stays when the run is over,
    "forever" or a duration ("30d"). `timeout`: how long a run may take from its first start, over all its attempts
    ("2h"); then it fails for good with `RunTimeout`, at its next safe point. Raises `JobDefinitionError`.
    """
    if not isinstance(name, str) or not name:
        raise JobDefinitionError(f'@job needs the job\'s name, as in @job("import-rows"), not {name!r:.80}')
    if not isinstance(version, str):
        raise JobDefinitionError(f'job {name!r}: version= is a text, as in version="3", not {version!r:.80}')
    for limit_name, limit in (("max_result_bytes", max_result_bytes), ("max_payload_bytes", max_payload_bytes)):
        if not isinstance(limit, int) or limit < 1:
            raise JobDefinitionError(f"job {name!r}: {limit_name}= is a number of bytes, 1 or more, not {limit!r:.80}")
    check_policy(name, on_version_mismatch)

    def define(function: Callable[..., Any]) -> JobDefinition[Any, Any]:
        _check_first_parameter(name, function)
        return JobDefinition(
            name, version, function, max_result_bytes, on_version_mismatch, max_payload_bytes, keep, timeout
        )

    return define


def _check_first_parameter(name: str, function: Callable[..., Any]) -> None:
    is_async = inspect.iscoroutinefunction(function)
    kind, other, prefix = (AsyncJob, Job, "async ") if is_async else (Job, AsyncJob, "")
    first = next(iter(parameters(function)), None)
    if first is None:
        raise JobDefinitionError(
            f"job {name!r}: its function needs a first parameter, the {kind.__name__}:"
            f" {prefix}def {function.__name__}(j: {kind.__name__})"
        )
    if first[1] is other:
        what = "an async function; its steps are awaited" if is_async else "a plain function, which can't await"
        raise JobDefinitionError(
            f"job {name!r} is {what}: write {prefix}def {function.__name__}({first[0].name}: {kind.__name__}, …)"
        )
