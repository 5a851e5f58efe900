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
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar

from resumable.sdk.code_version import OnVersionMismatch, check_policy
from resumable.sdk.codec import DEFAULT_LIMIT
from resumable.sdk.errors import JobDefinitionError
from resumable.sdk.inputs import Inputs
from resumable.sdk.payload import DEFAULT_LIMIT as DEFAULT_PAYLOAD_LIMIT
from resumable.sdk.payload import Payload
from resumable.sdk.step import StepCaller
from resumable.sdk.step_options import StepOptions, TakesOptions
from resumable.sdk.step_run import StepScope

if TYPE_CHECKING:
    from resumable.sdk.in_process import JobRun
    from resumable.state.store import Store

P = ParamSpec("P")
R = TypeVar("R")


class Job(StepCaller, TakesOptions[StepCaller]):
    """The attempt as the job's function sees it: its first parameter."""

    def __init__(self, name: str, scope: StepScope, max_result_bytes: int) -> None:
        super().__init__(scope, StepOptions(max_result_bytes=max_result_bytes))
        self.name = name
        self._attempt = scope.attempt

    @property
    def _options(self) -> StepOptions:
        return self._said

    def _caller(self, options: StepOptions) -> StepCaller:
        return StepCaller(self._scope, options)

    @property
    def run_id(self) -> str:
        """The run's id: the same in all its attempts."""
        return self._attempt.fence.run_id

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._attempt.fence.attempt

    @property
    def payload(self) -> Payload:
        """What all steps share, a small JSON object: stored with the next result or cursor, when the job is
        interrupted, and at its end. `j.payload.typed(MyTypedDict)` gives its values types.
        """
        return self._attempt.payload

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to leave."""
        return self._attempt.interruption.stopping

    def remaining(self) -> timedelta | None:
        """How long is left to save and leave; None while nobody asked."""
        return self._attempt.interruption.remaining()

    def stop_if_asked(self) -> None:
        """A safe point: leaves the job here if it was asked to."""
        self._attempt.interruption.safe_point()


class JobDefinition(Generic[P, R]):
    """What `@job` makes of a function."""

    def __init__(
        self,
        name: str,
        version: str,
        function: Callable[Concatenate[Job, P], R],
        max_result_bytes: int,
        on_version_mismatch: OnVersionMismatch = "resume",
        max_payload_bytes: int = DEFAULT_PAYLOAD_LIMIT,
    ) -> None:
        self.max_payload_bytes = max_payload_bytes
        self.name = name
        self.version = version
        self.on_version_mismatch = on_version_mismatch
        self.function = function
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
        from resumable.sdk.main import main

        main(self, arguments)

    def start(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        store: "Store | str | Path | None" = None,
    ) -> "JobRun[R]":
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
    ) -> R:
        """As `start`, but in this thread. Returns the job's result, the stored one when it was finished before."""
        from resumable.sdk.in_process import run

        return run(self, values, run_id=id, store=store)


def job(
    name: str,
    *,
    version: str = "",
    max_result_bytes: int = DEFAULT_LIMIT,
    max_payload_bytes: int = DEFAULT_PAYLOAD_LIMIT,
    on_version_mismatch: OnVersionMismatch = "resume",
) -> Callable[[Callable[Concatenate[Job, P], R]], JobDefinition[P, R]]:
    """Make a function a job. Its first parameter is the `Job`, the others are its input, by name.

    `version` is kept with the run and shown; `on_version_mismatch` says what to do with a run whose steps another
    version stored: go on by name ("resume"), wait for a person ("pause"), or "fail". `max_result_bytes` limits each
    stored result, `max_payload_bytes` the payload. Raises `JobDefinitionError`.
    """
    if not isinstance(name, str) or not name:
        raise JobDefinitionError(f'@job needs the job\'s name, as in @job("import-rows"), not {name!r:.80}')
    check_policy(name, on_version_mismatch)

    def define(function: Callable[Concatenate[Job, P], R]) -> JobDefinition[P, R]:
        if inspect.iscoroutinefunction(function):
            raise JobDefinitionError(f"job {name!r} is an async function; only plain functions can be jobs yet")
        if not inspect.signature(function).parameters:
            raise JobDefinitionError(
                f"job {name!r}: its function needs a first parameter, the Job: def {function.__name__}(j: Job)"
            )
        return JobDefinition(name, version, function, max_result_bytes, on_version_mismatch, max_payload_bytes)

    return define
