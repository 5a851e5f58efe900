"""One function over many items: each item is a step of its own, several run at the same time.

What an earlier attempt finished is replayed without a thread. An error, or a stop that somebody asked for, keeps new
items from being started; those that run come to their end, or to their safe point, and what they finish is kept.
"""

import contextvars
import dataclasses
import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar, overload

from resumable.sdk.context import StepContext
from resumable.sdk.errors import ControlException, Interrupted, InvalidStep, StepFailed, Waiting
from resumable.sdk.interruption import Interruption
from resumable.sdk.retry import Retry
from resumable.sdk.step_options import StepOptions, key_text
from resumable.sdk.step_run import StepRun, StepScope
from resumable.sdk.wake import united

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")

DEFAULT_CONCURRENCY = 4


class MapsItems(ABC):
    """`map` for whoever can call one step."""

    _scope: StepScope
    _said: StepOptions

    @abstractmethod
    def _carry_on(self, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an entered step to its end."""

    @overload
    def map(
        self,
        name: str,
        fn: Callable[[StepContext[C], T], R],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> list[R]: ...

    @overload
    def map(
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
    def map(
        self,
        name: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> list[R]: ...

    @overload
    def map(
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
    ) -> list[Any]:
        """The function's results for all items, in their order. Each item is a step, `concurrency` of them at a time.

        ```python
        thumbs = j.map("thumb", make_thumb, images, key=lambda image: image.id, concurrency=8)
        ```

        They run in threads, so `fn` has to be safe in threads; a first parameter that is annotated `StepContext` gets
        one. `key` tells the items apart and is the same in each attempt; items that are texts or integers are their own
        key. Options hold for each item: `j.options(retry=Retry()).map(…)`.

        When an item fails, no other is started; those that run come to their end and are kept, then the error is
        raised. `tolerate`: so many items may fail for good; in the result a `StepFailed` is in their place. Without a
        `retry` option one failure is for good then.

        Raises `InvalidStep`, `DuplicateStep` (two items have the same key), and what an item raised.
        """
        check_map(name, concurrency, tolerate, self._said)
        if inspect.iscoroutinefunction(fn):
            raise InvalidStep(f"map {name!r}: {fn!r:.80} is an async function; a job that isn't async can't await it")
        mapped = MappedItems(self._scope.attempt.interruption, tolerate, self._scope.attempt.now)
        mapped.enter_all(self._scope, self._said, name, fn, items, key)
        mapped.run_all(lambda run, item: self._carry_on(run, fn, (item,), {}), concurrency, f"resumable-map-{name}")
        return mapped.results


Taken: TypeAlias = tuple[int, StepRun, Any]  # an item with its place and its step


@dataclass
class MappedItems:
    """The items of one call, and how they stand."""

    interruption: Interruption
    tolerate: int
    now: Callable[[], datetime | None] = lambda: None  # the store's clock
    results: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pending: list[Taken] = []
        self._next: Iterator[Taken] = iter(())
        self._lock = threading.Lock()
        self._failed = 0
        self._error: BaseException | None = None
        self._leaving: list[ControlException] = []

    def enter_all(
        self,
        scope: StepScope,
        options: StepOptions,
        name: str,
        fn: Callable[..., Any],
        items: Iterable[Any],
        key: Callable[[Any], object] | None,
    ) -> None:
        """Meet each item's step. Raises an error that an earlier attempt left and that is not tolerated."""
        if self.tolerate and options.retry is None:
            options = dataclasses.replace(options, retry=Retry(max_attempts=1))
        if not isinstance(items, Iterable):
            raise InvalidStep(f"map {name!r}: its items are a list or another plain iterable, not {items!r:.80}")
        leaving: Interrupted | None = None
        for item in items:
            run = StepRun(scope, dataclasses.replace(options, key=item_key(name, item, key)), name, fn)
            try:
                self._enter(run, item)
            except Interrupted as left:  # the others are met all the same: they may have to be undone
                leaving = left
        if leaving is not None:
            raise leaving
        self.raise_failure()

    def _enter(self, run: StepRun, item: Any) -> None:
        place = len(self.results)
        self.results.append(None)
        try:
            replayed = run.enter()
        except StepFailed as failed:
            self.note((place, run, item), failed)
            return
        if replayed is not None:
            self.results[place] = replayed.value
        else:
            self._pending.append((place, run, item))

    def begin(self) -> int:
        """Hand out what is pending. Returns how many items that are; what waits for its next try is pending again."""
        pending, self._pending, self._leaving = self._pending, [], []
        self._next = iter(pending)
        return len(pending)

    def take(self) -> Taken | None:
        """The next item to run; None: no other is to be started."""
        with self._lock:
            left = any(not isinstance(leaving, Waiting) for leaving in self._leaving)
            stopped = self._error is not None or self.interruption.stopping or left
            return None if stopped else next(self._next, None)

    def note(self, taken: Taken, error: BaseException) -> None:
        """What an item raised."""
        with self._lock:
            if isinstance(error, StepFailed):
                self.results[taken[0]] = error
                self._failed += 1
                if self._failed > self.tolerate:
                    self._error = self._error or error
            elif isinstance(error, ControlException):
                self._leaving.append(error)
                if isinstance(error, Waiting):
                    self._pending.append(taken)
            else:
                self._error = self._error or error

    def raise_failure(self) -> None:
        """Raise the first error that was not tolerated."""
        if self._error is not None:
            raise self._error

    def conclude(self) -> None:
        """Raise what the items raised, now that none runs any more."""
        self._raise_leaving()
        self.raise_failure()
        self.interruption.safe_point()

    def _raise_leaving(self) -> None:
        """An item that waits for its next try ends nothing: the others are done first."""
        waiting = [e for e in self._leaving if isinstance(e, Waiting)]
        for leaving in self._leaving:
            if leaving not in waiting:
                self.interruption.leave_branch(leaving)
        if waiting and self._error is None:
            self.interruption.safe_point()
            self.interruption.leave_branch(united(waiting, now=self.now()))

    # In a plain job: threads

    def run_all(self, call: Callable[[StepRun, Any], Any], concurrency: int, thread_name: str) -> None:
        """Run what is pending, and raise what it raised when all threads have ended."""
        threads = [
            threading.Thread(
                target=contextvars.copy_context().run, args=(self._work, call), name=f"{thread_name}-{n}", daemon=True
            )
            for n in range(min(concurrency, self.begin()))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:
            self._error = error  # Ctrl-C in a notebook: whoever has begun comes to its end
            for thread in threads:
                thread.join()
            raise
        self.conclude()

    def _work(self, call: Callable[[StepRun, Any], Any]) -> None:
        while (taken := self.take()) is not None:
            place, run, item = taken
            try:
                with self.interruption.branch():
                    self.results[place] = call(run, item)
            except BaseException as error:  # noqa: BLE001 - it is raised where `map` was called
                self.note(taken, error)


def item_key(name: str, item: Any, key: Callable[[Any], object] | None) -> str:
    """What tells an item from the others. Raises `InvalidStep`."""
    if key is None and not isinstance(item, (str, int)):
        raise InvalidStep(
            f"map {name!r}: what tells its items apart? give key=, as in key=lambda item: item.id"
            f" (only texts and integers are their own key, not {item!r:.80})"
        )
    return key_text(item if key is None else key(item))


def check_map(name: str, concurrency: int, tolerate: int, options: StepOptions) -> None:
    """Raises `InvalidStep`."""
    if not isinstance(concurrency, int) or concurrency < 1:
        raise InvalidStep(f"map {name!r}: concurrency= is a number of threads, 1 or more, not {concurrency!r}")
    if not isinstance(tolerate, int) or tolerate < 0:
        raise InvalidStep(f"map {name!r}: tolerate= is a number of items, 0 or more, not {tolerate!r}")
    if options.key:
        raise InvalidStep(f"map {name!r}: its items have keys of their own; give key= to map, not to options")
