"""`SqlStore`: a run's record in a SQL database."""

from collections.abc import Sequence

from resumable.state.outcome import (
    BeginOutcome,
    ChangeOutcome,
    SendOutcome,
    SignalsOutcome,
    StartOutcome,
    StoreError,
    WriteOutcome,
)
from resumable.state.record import (
    Cursor,
    Encoded,
    Event,
    Fence,
    Run,
    RunStatus,
    RunView,
    Signal,
    Step,
    StepRef,
    StepTry,
    StoreInfo,
    Write,
)
from resumable.state.sql import changes, fork, group, restart, retention, schema, signals, tries, views, worker
from resumable.state.sql.database import Database, open_database
from resumable.state.store import (
    AttemptEnd,
    Beginning,
    Expected,
    FinishedStep,
    GuardedWrite,
    NewRun,
    NewSignal,
    RestartRequest,
    RunEnd,
    SavedCursor,
    StartedStep,
    StepActivity,
)


class SqlStore:
    """The `Store` on SQLite, PostgreSQL or MariaDB. Thread-safe.

    A SQLite database is migrated when it is opened; for a server's, `migrate` is called by the state service when it
    starts, and everybody else finds the schema as it is.

    Raises `StoreRefused` for a URL that it can't serve, and where the schema is newer than this program.
    """

    def __init__(self, url: str) -> None:
        self._opened = open_database(url)
        self._schema_is_known = False
        if self._opened.embedded:
            self.migrate()

    @property
    def database(self) -> Database:
        """The database, its schema checked when it is first used (a server may be away when the store is made)."""
        if not self._schema_is_known:
            schema.check(self._opened)
            self._schema_is_known = True
        return self._opened

    def migrate(self) -> None:
        """Bring the schema to the newest version. Safe when several processes do it at once."""
        schema.migrate(self._opened)
        self._schema_is_known = True

    def close(self) -> None:
        """Close all connections."""
        self._opened.close()

    # The worker's calls.

    def begin(self, fence: Fence, beginning: Beginning) -> BeginOutcome:
        return worker.begin(self.database, fence, beginning)

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        return worker.finish_step(self.database, fence, write, step)

    def start_step(self, fence: Fence, write: Write, step: StartedStep) -> StartOutcome:
        return worker.start_step(self.database, fence, write, step)

    def forget_step(self, fence: Fence, write: Write, name: str, key: str) -> WriteOutcome:
        return worker.forget_step(self.database, fence, write, name, key)

    def read_signals(self, fence: Fence) -> SignalsOutcome:
        return worker.read_signals(self.database, fence)

    def save_cursor(self, fence: Fence, write: Write, cursor: SavedCursor) -> WriteOutcome:
        return worker.save_cursor(self.database, fence, write, cursor)

    def heartbeat(self, fence: Fence, activity: tuple[StepActivity, ...] = ()) -> WriteOutcome:
        return worker.heartbeat(self.database, fence, activity)

    def save_payload(self, fence: Fence, write: Write, payload: Encoded) -> WriteOutcome:
        return worker.save_payload(self.database, fence, write, payload)

    def end_run(self, fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
        return worker.end_run(self.database, fence, write, end)

    @property
    def writes_groups(self) -> bool:
        return self._opened.writes_groups

    def write_together(self, writes: Sequence[GuardedWrite]) -> list[WriteOutcome | StoreError]:
        return group.write_together(self.database, writes)

    # The controller's.

    def create_run(self, run: NewRun) -> Run:
        return changes.create_run(self.database, run)

    def set_input(self, run_id: str, expected: Expected, value: Encoded | None) -> ChangeOutcome:
        return changes.set_input(self.database, run_id, expected, value)

    def mint(self, run_id: str, expected: Expected, nonce: str) -> ChangeOutcome:
        return changes.mint(self.database, run_id, expected, nonce)

    def bind_pod(
        self, run_id: str, attempt: int, nonce: str, *, pod_name: str, pod_uid: str, node: str = ""
    ) -> ChangeOutcome:
        return changes.bind_pod(self.database, run_id, attempt, nonce, pod_name=pod_name, pod_uid=pod_uid, node=node)

    def request_stop(self, run_id: str, expected_attempt: int, reason: str) -> ChangeOutcome:
        return changes.request_stop(self.database, run_id, expected_attempt, reason)

    def count_end(self, run_id: str, end: AttemptEnd) -> ChangeOutcome:
        return changes.count_end(self.database, run_id, end)

    def settle(
        self, run_id: str, expected: Expected, to: RunStatus, *, reason: str, message: str = ""
    ) -> ChangeOutcome:
        return changes.settle(self.database, run_id, expected, to, reason=reason, message=message)

    def send_signal(self, run_id: str, signal: NewSignal) -> SendOutcome:
        return signals.send_signal(self.database, run_id, signal)

    def restart(self, run_id: str, expected: Expected, request: RestartRequest) -> ChangeOutcome:
        return restart.restart(self.database, run_id, expected, request)

    def fork_run(self, source_id: str, new: NewRun, up_to: StepRef | None) -> Run | None:
        return fork.fork_run(self.database, source_id, new, up_to)

    def collect(self) -> int:
        return retention.collect(self.database)

    def delete_run(self, run_id: str) -> None:
        changes.delete_run(self.database, run_id)

    # The readers'.

    def info(self) -> StoreInfo:
        return views.info(self.database)

    def get_run(self, run_id: str) -> Run | None:
        return views.get_run(self.database, run_id)

    def view(self, run_id: str, *, steps: int = 12) -> RunView | None:
        return views.view(self.database, run_id, steps)

    def list_runs(self, namespace: str | None = None, *, limit: int = 500) -> tuple[Run, ...]:
        return views.list_runs(self.database, namespace, limit)

    def list_steps(self, run_id: str) -> tuple[Step, ...]:
        return views.list_steps(self.database, run_id)

    def list_cursors(self, run_id: str) -> tuple[Cursor, ...]:
        return views.list_cursors(self.database, run_id)

    def list_events(self, run_id: str, *, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        return views.list_events(self.database, run_id, after, limit)

    def list_signals(self, run_id: str) -> tuple[Signal, ...]:
        return signals.list_signals(self.database, run_id)

    def list_tries(self, run_id: str) -> tuple[StepTry, ...]:
        return tries.list_tries(self.database, run_id)

    def list_woken(self, *, limit: int = 500) -> tuple[str, ...]:
        return signals.list_woken(self.database, limit)
