"""One scenario, written once as a coroutine, as a plain job and as an async one.

In a plain job the calls of the job and of the step are made at once, and awaiting them gives their result: the
scenario's coroutine never really waits and is run to its end by one `send`.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from resumable import AsyncJob, AsyncStepContext, Job, JobDefinition, StepContext, job

R = TypeVar("R")

Scenario = Callable[[Any], Coroutine[Any, Any, Any]]


@dataclass(frozen=True)
class Style:
    """How the job and its steps are written."""

    name: str
    async_job: bool
    async_steps: bool

    def job(self, scenario: Scenario, **said: Any) -> JobDefinition[..., Any]:
        """The scenario as a job named "j"."""
        if self.async_job:

            async def awaited(j: AsyncJob) -> Any:
                return await scenario(j)

            return job("j", **said)(awaited)

        def plain(j: Job) -> Any:
            return at_once(scenario(Ready(j)))

        return job("j", **said)(plain)

    def fn(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A plain function that takes no context, as a step's function."""
        if not self.async_steps:
            return function

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        awaited.__annotations__["return"] = inspect.signature(function).return_annotation
        return awaited

    def with_context(self, function: Callable[[Any], Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """A coroutine function that takes a context with an `int` cursor, as a step's function."""
        if self.async_steps:

            async def awaited(step: AsyncStepContext[int]) -> Any:
                return await function(step)

            return awaited

        def plain(step: StepContext[int]) -> Any:
            return at_once(function(Ready(step)))

        return plain


STYLES = [
    Style("def job", async_job=False, async_steps=False),
    Style("async def job, async def steps", async_job=True, async_steps=True),
    Style("async def job, plain steps", async_job=True, async_steps=False),
]


AWAITED = {"step", "map", "wait", "sleep", "sleep_until", "forget", "transaction", "stop_if_asked", "save"}


class Ready:
    """A plain job or context: what is awaited of an async one is there at once."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._plain, name)
        match name:
            case "options":
                return lambda **said: Ready(found(**said))
            case "iterate":
                return lambda *args, **said: _aiter(found(*args, **said))
            case "checkpoint" | "transaction" if isinstance(self._plain, StepContext):
                return lambda *args, **said: ReadyContext(found(*args, **said))
            case "restored":
                return lambda: ReadyValue(found)
            case _ if name in AWAITED:
                return lambda *args, **said: ReadyValue(found(*args, **said))
            case _:
                return found


class ReadyValue(Generic[R]):
    def __init__(self, value: R) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, R]:
        return self.value
        yield


class ReadyContext:
    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self.manager = manager

    async def __aenter__(self) -> Any:
        return self.manager.__enter__()

    async def __aexit__(self, *error: Any) -> bool | None:
        return self.manager.__exit__(*error)


async def _aiter(items: Iterator[R]) -> AsyncIterator[R]:
    for item in items:
        yield item


def at_once(coroutine: Coroutine[Any, Any, R]) -> R:
    """The result of a coroutine that never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        value: R = ended.value
        return value
    raise AssertionError("it waits for something that isn't there")
