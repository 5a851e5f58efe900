"""A step that saves progress inside itself gets a `StepContext`: annotate its first parameter with it."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from resumable.sdk import codec
from resumable.sdk.attempt import Attempt
from resumable.sdk.checkpoint import KEPT, StepCheckpoints
from resumable.sdk.durations import duration
from resumable.sdk.errors import CheckpointsNotConfigured, InvalidStep
from resumable.sdk.iteration import DEFAULT_EVERY, Every, SaveRhythm
from resumable.sdk.running_step import RunningStep
from resumable.state.record import Encoded

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from resumable.sdk.cursor_transaction import CursorTransactions

C = TypeVar("C")
T = TypeVar("T")


class Unchanged:
    """Stands for a cursor that was not given."""


UNCHANGED = Unchanged()


class StepContext(Generic[C]):
    """What a running step knows and can save. `C` is the type of its cursor: how far it got, in the author's own
    terms.

    ```python
    def import_rows(step: StepContext[int]) -> int:
        batch: list[Row] = []
        rows = read_rows(after=step.cursor or 0)
        for row in step.iterate(rows, cursor=lambda r: r.id, flush=lambda: write(batch)):
            batch.append(row)
        return step.cursor or 0
    ```

    `save()` and `checkpoint()` never raise a stop that was asked for. Only `stop_if_asked()` and the head of an
    `iterate` turn do: there, and between steps, the job leaves when it was asked to.
    """

    def __init__(self, attempt: Attempt, running: RunningStep, cursor_type: Any, checkpoint_root: Path | None) -> None:
        self._attempt = attempt
        self._running = running
        self._interruption = attempt.interruption
        self._cursor_type = cursor_type
        self._saved_at = running.began
        stored = self._stored = attempt.cursors.get((running.name, running.key))
        self._cursor: C | None = None
        if stored is not None and stored.value is not None:
            self._cursor = codec.decode(stored.value, cursor_type, of=f"step {running.label!r}: the cursor")
        self._encoded = stored.value if stored is not None else None
        self._published = [stored.checkpoint] if stored is not None and stored.checkpoint else []  # the newest last
        self._restored: Path | None = None
        self._checkpoints: StepCheckpoints | None = None
        self._transactions: CursorTransactions | None = None
        if checkpoint_root is not None:
            self._checkpoints = StepCheckpoints(checkpoint_root, attempt.fence.run_id, running.name, running.key)

    # Where it stands

    @property
    def cursor(self) -> C | None:
        """How far the step got: what was last saved, by this attempt or an earlier one; None: nothing was."""
        return self._cursor

    @property
    def restored(self) -> Path | None:
        """The folder of the checkpoint that an earlier attempt published last; None: there is none. For reading only.

        Its files are compared with their checksums on first access. Raises `CheckpointDamaged`.
        """
        stored = self._stored
        if self._restored is None and stored is not None and stored.checkpoint:
            self._restored = self._files().restore(stored.checkpoint)
        return self._restored

    @property
    def key(self) -> str:
        """The step's key; "" when it has none."""
        return self._running.key

    @property
    def idempotency_key(self) -> str:
        """The same in each attempt at this step of this run, and in no other: for outside APIs that must not act
        twice.
        """
        import hashlib  # loads OpenSSL: only for who asks

        run = self._attempt.run
        identity = "\0".join((run.id, str(run.generation), self._running.name, self._running.key))
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    # Saving

    def save(self, cursor: C) -> None:
        """Save how far the step got. Durable when it returns.

        A stop that was asked for is never raised here. What is raised means that it was not saved, as far as anybody
        knows: `Fenced`, `Rewound`, or `Interrupted` because the store stays away.
        """
        if self._transactions is not None and self._transactions.open:
            self._transactions.save(self._encode(cursor))
            self._cursor = cursor  # ours follows when it is committed
            return
        self._publish(cursor, self._published[-1] if self._published else "")

    @contextmanager
    def transaction(self, engine: "Engine") -> "Iterator[Connection]":
        """A transaction of your own database in which `save()` writes the cursor, too: rows exactly once.

        ```python
        def import_rows(step: StepContext[int], engine: Engine) -> None:
            for batch in read_batches(after=step.cursor or 0):
                with step.transaction(engine) as connection:
                    connection.execute(insert(rows), batch)
                    step.save(batch[-1]["id"])
                step.stop_if_asked()
        ```

        `engine` is an SQLAlchemy `Engine`. The block ends well: rows and cursor are committed together, the cursor in
        the table `resumable_cursor` (made where it is missing). It raises: both are rolled back. The block does not
        commit.

        The cursor in your database is the one that counts. Where a killed attempt left it further than this step knew
        when it began, the function is called once more, with that cursor, instead of entering its first block. A worker
        that was believed dead is refused (`Fenced`).
        """
        from resumable.sdk.cursor_transaction import CursorTransactions

        if self._transactions is None:
            self._transactions = CursorTransactions(self._attempt, self._running, engine)
        self._transactions.check_same(engine)
        if self._transactions.open:
            raise InvalidStep(f"step {self._running.label!r}: step.transaction() is entered inside another one")
        before = self._cursor
        try:
            with self._transactions.batch(self._encoded) as connection:
                yield connection
        except BaseException:
            self._cursor = before
            raise
        if self._transactions.saved is not None and self._cursor is not None:
            self._publish(self._cursor, self._published[-1] if self._published else "")

    def iterate(
        self,
        iterable: Iterable[T],
        *,
        cursor: Callable[[T], C],
        every: Every = DEFAULT_EVERY,
        flush: Callable[[], object] | None = None,
    ) -> Iterator[T]:
        """Loop over the items and save the cursor of the last finished one from time to time.

        The head of each turn is a safe point. When a save is due there, or a stop was asked for, `flush` is called
        first (to write what the loop has gathered), then the cursor is saved; also once at the end. A loop that is
        left by `break` flushes for itself. `every`: turns, a duration, or both: `(500, "5s")` is whichever comes
        first.
        """
        rhythm = SaveRhythm(every)
        items = iter(iterable)
        last: Any = None
        while True:
            stopping = self._interruption.stopping
            if rhythm.due or (rhythm.pending and stopping):
                self._flush(flush, cursor(last))
                rhythm.saved()
            if stopping or self._running.cut_off or not rhythm.pending:  # asked just now: the next turn saves first
                self.stop_if_asked()
            try:
                last = next(items)
            except StopIteration:
                break
            yield last
            rhythm.turned()
        if rhythm.pending:
            self._flush(flush, cursor(last))

    @contextmanager
    def checkpoint(self, cursor: C | Unchanged = UNCHANGED) -> Iterator[Path]:
        """A new folder for files, published together with the cursor when the block ends well; removed when it
        raises.

        A worker that is killed at any moment leaves this checkpoint or the one before it, whole. Raises as `save` does.
        """
        checkpoints = self._files()
        folder = checkpoints.create(self._attempt.fence.attempt, self._attempt.next_sequence())
        try:
            yield folder
            location = checkpoints.seal(folder)
        except BaseException:
            import shutil  # 3 ms that few jobs need

            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._publish(cursor, location)  # when this raises the folder stays: whether it was published may be unknown
        self._published = [*self._published, location][-KEPT:]
        checkpoints.collect(self._published)

    def due(self, interval: str | timedelta) -> bool:
        """Whether so much time has passed since the last save, or since the step began in this attempt."""
        return time.monotonic() - self._saved_at >= duration(interval).total_seconds()

    def progress(self, current: float, total: float | None = None, message: str = "") -> None:
        """Show how far the step is. Cheap: stored with the next heartbeat or save."""
        self._running.progress_current = current
        self._running.progress_total = total
        self._running.progress_message = message

    # Leaving

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to leave (SIGTERM came, somebody wants a stop), or the step's time is over.

        Save, then call `stop_if_asked()`.
        """
        return self._running.cut_off or self._interruption.stopping

    def remaining(self) -> timedelta | None:
        """How long is left to save and leave; None while nobody asked."""
        return self._interruption.remaining()

    def stop_if_asked(self) -> None:
        """A safe point: leaves the job here if it was asked to, or if the step's time is over."""
        self._attempt.check_in_time(self._running)
        self._interruption.safe_point()

    def shield(self, limit: str | timedelta) -> AbstractContextManager[None]:
        """A block that is not stopped inside while the grace lasts, for `limit` at most. Its end is no safe point."""
        return self._interruption.shield(duration(limit))

    # Within the SDK

    def _flush(self, flush: Callable[[], object] | None, cursor: C) -> None:
        if flush is not None:
            flush()
        self.save(cursor)

    def _publish(self, cursor: C | Unchanged, checkpoint: str) -> None:
        encoded = self._encoded if isinstance(cursor, Unchanged) else self._encode(cursor)
        self._attempt.save_cursor(self._running, encoded, checkpoint)
        self._encoded = encoded
        if not isinstance(cursor, Unchanged):
            self._cursor = cursor
        self._saved_at = time.monotonic()

    def _encode(self, cursor: C) -> Encoded:
        return codec.encode(cursor, self._cursor_type, of=f"step {self._running.label!r}: the cursor")

    def _files(self) -> StepCheckpoints:
        label = f"step {self._running.label!r}"
        if self._checkpoints is None:
            raise CheckpointsNotConfigured(
                f"{label}: there is no place for checkpoint files; name a volume in the job's spec.checkpoints"
            )
        if not self._checkpoints.root.is_dir():  # made by us it would be lost with the container
            raise CheckpointsNotConfigured(
                f"{label}: the checkpoint folder {self._checkpoints.root} is not there; is its volume mounted?"
            )
        return self._checkpoints

    def _close(self) -> None:
        """The step is done: what a killed attempt left half made is nobody's."""
        if self._published and self._checkpoints is not None:
            self._checkpoints.collect(self._published)
