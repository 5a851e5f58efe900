"""`map` of an async job: each item a step of its own, in tasks."""

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from resumable.sdk.async_context import AsyncStepContext
from resumable.sdk.context import StepContext
from resumable.sdk.errors import StepFailed
from resumable.sdk.map import DEFAULT_CONCURRENCY, MappedItems, check_map
from resumable.sdk.step_options import StepOptions

if TYPE_CHECKING:
    from resumable.sdk.async_scope import AsyncScope

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")


class AsyncMapsItems:
    """`map`, awaited."""

    _scope: "AsyncScope"
    _said: StepOptions

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[AsyncStepContext[C], T], Coroutine[Any, Any, R]],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> list[R]: ...

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[AsyncStepContext[C], T], Coroutine[Any, Any, R]],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        tolerate: int,
    ) -> list[R | StepFailed]: ...

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[StepContext[C], T], R],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> list[R]: ...

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[StepContext[C], T], R],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        tolerate: int,
    ) -> list[R | StepFailed]: ...

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[T], Coroutine[Any, Any, R]],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> list[R]: ...

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[T], Coroutine[Any, Any, R]],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        tolerate: int,
    ) -> list[R | StepFailed]: ...

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> list[R]: ...

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        tolerate: int,
    ) -> list[R | StepFailed]: ...

    def map(
        self,
        name: str,
        fn: Callable[..., Any],
        items: Iterable[Any],
        *,
        key: Callable[[Any], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        tolerate: int = 0,
    ) -> Coroutine[Any, Any, list[Any]]:
        """The function's results for all items, in their order. Each item is a step, `concurrency` of them at a time.

        ```python
        pages = await j.map("fetch", fetch, urls, concurrency=20)
        ```

        They run in tasks (a plain function in threads, at most 64 at a time); a first parameter that is annotated
        `AsyncStepContext`, in a plain function `StepContext`, gets one. `key` tells the items apart and is the same in
        each attempt; items that are texts or integers are their own key. Options hold for each item:
        `j.options(retry=Retry()).map(…)`.

        When an item fails, no other is started; those that run come to their end and are kept, then the error is
        raised. `tolerate`: so many items may fail for good; in the result a `StepFailed` is in their place. Without a
        `retry` option one failure is for good then.

        Raises `InvalidStep`, `DuplicateStep` (two items have the same key), and what an item raised.
        """
        scope, options = self._scope, self._said
        check_map(name, concurrency, tolerate, options)
        mapped = MappedItems(scope.steps.attempt.interruption, tolerate)

        def enter() -> None:
            mapped.enter_all(scope.steps, options, name, fn, items, key)

        async def go_on(_: object) -> list[Any]:
            await scope.at_the_same_time(work, min(concurrency, mapped.begin()))
            mapped.conclude()
            return mapped.results

        async def work() -> None:
            while (taken := mapped.take()) is not None:
                place, run, item = taken
                try:
                    mapped.results[place] = await scope.item(run, fn, item)
                except BaseException as error:
                    if scope.is_cancellation(error):
                        raise
                    mapped.note(taken, error)

        return scope.call(name, enter, go_on)
