"""What an `async def` step gets that saves progress inside itself: a `StepContext` whose saves are awaited."""

import inspect
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from resumable.sdk.context import UNCHANGED, StepContext, Unchanged
from resumable.sdk.iteration import DEFAULT_EVERY, Every, SaveRhythm

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from resumable.sdk.async_scope import AsyncScope

C = TypeVar("C")
T = TypeVar("T")

_TURN_SECONDS: Final = 0.01  # a loop over a plain iterable lets other tasks run so often


class AsyncStepContext(Generic[C]):
    """What a running `async def` step knows and can save. `C` is the type of its cursor: how far it got, in the
    author's own terms.

    ```python
    async def import_rows(step: AsyncStepContext[int]) -> int:
        rows = read_rows(after=step.cursor or 0)                   # an async iterable, or a plain one
        async for row in step.iterate(rows, cursor=lambda r: r.id):
            await write(row)
        return step.cursor or 0
    ```

    As with `StepContext` only `stop_if_asked()` and the head of an `iterate` turn raise a stop that was asked for.
    """

    def __init__(self, context: StepContext[C], scope: "AsyncScope") -> None:
        self._context = context
        self._scope = scope

    # Where it stands

    @property
    def cursor(self) -> C | None:
        """How far the step got: what was last saved, by this attempt or an earlier one; None: nothing was."""
        return self._context.cursor

    async def restored(self) -> Path | None:
        """The folder of the checkpoint that an earlier attempt published last; None: there is none. For reading only.

        Its files are compared with their checksums on first access. Raises `CheckpointDamaged`.
        """
        return await self._scope.in_thread(lambda: self._context.restored)

    @property
    def key(self) -> str:
        """The step's key; "" when it has none."""
        return self._context.key

    @property
    def idempotency_key(self) -> str:
        """The same in each attempt at this step of this run, and in no other: for outside APIs that must not act
        twice.
        """
        return self._context.idempotency_key

    # Saving

    async def save(self, cursor: C) -> None:
        """Save how far the step got. Durable when it has been awaited.

        A stop that was asked for is never raised here. What is raised means that it was not saved, as far as anybody
        knows: `Fenced`, `Rewound`, or `Interrupted` because the store stays away. A task that is cancelled meanwhile
        is cancelled when it is saved.
        """
        await self._scope.write(self._context.save, cursor)

    @asynccontextmanager
    async def transaction(self, engine: "Engine") -> "AsyncIterator[Connection]":
        """A transaction of your own database in which `save()` writes the cursor, too: rows exactly once.

        ```python
        async def import_rows(step: AsyncStepContext[int], engine: Engine) -> None:
            async for batch in read_batches(after=step.cursor or 0):
                async with step.transaction(engine) as connection:
                    await asyncio.to_thread(connection.execute, insert(rows), batch)
                    await step.save(batch[-1]["id"])
                await step.stop_if_asked()
        ```

        `engine` is an SQLAlchemy `Engine` that isn't async; a statement would block the event loop, hence the thread.
        The block ends well: rows and cursor are committed together, the cursor in the table `resumable_cursor` (made
        where it is missing). It raises: both are rolled back. The block does not commit.

        The cursor in your database is the one that counts. Where a killed attempt left it further than this step knew
        when it began, the function is called once more, with that cursor, instead of entering its first block. A worker
        that was believed dead is refused (`Fenced`).
        """
        transaction = self._context.transaction(engine)
        connection = await self._scope.in_thread(transaction.__enter__)
        try:
            yield connection
        except BaseException as error:
            await self._scope.in_thread(transaction.__exit__, type(error), error, error.__traceback__)
            raise
        await self._scope.in_thread(transaction.__exit__, None, None, None)

    async def iterate(
        self,
        iterable: Iterable[T] | AsyncIterable[T],
        *,
        cursor: Callable[[T], C],
        every: Every = DEFAULT_EVERY,
        flush: Callable[[], object] | None = None,
    ) -> AsyncIterator[T]:
        """Loop over the items, by `async for`, and save the cursor of the last finished one from time to time.

        The head of each turn is a safe point. When a save is due there, or a stop was asked for, `flush` is called
        first (to write what the loop has gathered; it may be async), then the cursor is saved; also once at the end. A
        loop that is left by `break` flushes for itself. `every`: turns, a duration, or both: `(500, "5s")` is
        whichever comes first. The items of a plain iterable are taken in the event loop: it should not block.
        """
        rhythm = SaveRhythm(every)
        items = aiter(iterable) if isinstance(iterable, AsyncIterable) else _TakingTurns(iterable)
        last: Any = None
        while True:
            stopping = self.stopping
            if rhythm.due or (rhythm.pending and stopping):
                await self._flush(flush, cursor(last))
                rhythm.saved()
            if stopping or not rhythm.pending:  # asked just now: the next turn saves first
                await self.stop_if_asked()
            try:
                last = await anext(items)
            except StopAsyncIteration:
                break
            yield last
            rhythm.turned()
        if rhythm.pending:
            await self._flush(flush, cursor(last))

    @asynccontextmanager
    async def checkpoint(self, cursor: C | Unchanged = UNCHANGED) -> AsyncIterator[Path]:
        """A new folder for files, published together with the cursor when the block ends well; removed when it raises.

        ```python
        async with step.checkpoint(cursor=epoch) as folder:
            await save_model(folder / "model.pt")
        ```

        A worker that is killed at any moment leaves this checkpoint or the one before it, whole. Raises as `save` does.
        """
        checkpoint = self._context.checkpoint(cursor)
        folder = await self._scope.in_thread(checkpoint.__enter__)
        try:
            yield folder
        except BaseException as error:
            await self._scope.in_thread(checkpoint.__exit__, type(error), error, error.__traceback__)
            raise
        await self._scope.in_thread(checkpoint.__exit__, None, None, None)

    def due(self, interval: str | timedelta) -> bool:
        """Whether so much time has passed since the last save, or since the step began in this attempt."""
        return self._context.due(interval)

    def progress(self, current: float, total: float | None = None, message: str = "") -> None:
        """Show how far the step is. Cheap: stored with the next heartbeat or save."""
        self._context.progress(current, total, message)

    # Leaving

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to leave: SIGTERM came, or somebody wants a stop. Save, then await
        `stop_if_asked()`.
        """
        return self._context.stopping

    def remaining(self) -> timedelta | None:
        """How long is left to save and leave; None while nobody asked."""
        return self._context.remaining()

    async def stop_if_asked(self) -> None:
        """A safe point: leaves the job here if it was asked to."""
        await self._scope.leaving.safe_point()

    def shield(self, limit: str | timedelta) -> AbstractContextManager[None]:
        """A block (`with`, not `async with`) that is not stopped inside while the grace lasts, for `limit` at most.
        Its end is no safe point.
        """
        return self._context.shield(limit)

    async def _flush(self, flush: Callable[[], object] | None, cursor: C) -> None:
        if flush is not None:
            flushed = flush()
            if inspect.isawaitable(flushed):
                await flushed
        await self.save(cursor)


class _TakingTurns(AsyncIterator[T]):
    """A plain iterable as an async one, that lets other tasks run now and then."""

    def __init__(self, iterable: Iterable[T]) -> None:
        self._items: Iterator[T] = iter(iterable)
        self._turn_ends = time.monotonic() + _TURN_SECONDS

    async def __anext__(self) -> T:
        if time.monotonic() > self._turn_ends:
            import asyncio

            await asyncio.sleep(0)
            self._turn_ends = time.monotonic() + _TURN_SECONDS
        item = next(self._items, _NO_MORE)
        if item is _NO_MORE:
            raise StopAsyncIteration
        return cast(T, item)


_NO_MORE: Final = object()
