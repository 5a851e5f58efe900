"""`RedisStore`: a run's record in Redis or Valkey."""

import threading
import uuid

from resumable.state.outcome import (
    BeginOutcome,
    ChangeOutcome,
    SendOutcome,
    SignalsOutcome,
    StartOutcome,
    StoreRefused,
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
from resumable.state.redis import changes, fork, register, retention, rows, signals, views, worker
from resumable.state.redis.connection import Cluster, Server, Single
from resumable.state.redis.grade import OLDEST, Grade, Settings, grade, read_settings, worst
from resumable.state.redis.keys import STORE
from resumable.state.redis.location import locate
from resumable.state.store import (
    AttemptEnd,
    Beginning,
    Expected,
    FinishedStep,
    NewRun,
    NewSignal,
    RestartRequest,
    RunEnd,
    SavedCursor,
    StartedStep,
    StepActivity,
)

# How records are laid out. A program refuses a store with a higher one.
SCHEMA_VERSION = "0001"


class RedisStore:
    """The `Store` on Redis or Valkey, one server or a Cluster. Thread-safe.

        RedisStore("redis://localhost:6379/0")
        RedisStore("redis+cluster://redis.example:6379?waitReplicas=1")

    It is looked at when it is first used, as it may be away when this is made. Raises `StoreRefused` then when it
    forgets what it acknowledged (no append-only file, eviction), unless the URL says `allowVolatile=true`; when it is
    too old; and when its records are newer than this program.
    """

    def __init__(self, url: str) -> None:
        location = locate(url)
        self._server: Server = Cluster(location) if location.cluster else Single(location)
        self._is_known = False
        self._looking = threading.Lock()

    @property
    def server(self) -> Server:
        """The server, looked at when it is first used."""
        if not self._is_known:
            with self._looking:
                if not self._is_known:
                    self._look()
                    self._is_known = True
        return self._server

    def _look(self) -> None:
        location = self._server.location
        settings, found = self._grade()
        for each in settings:
            if each.version < OLDEST:
                raise StoreRefused(
                    f"{location.address} is {each.server}; Redis 7.0 or Valkey 7.2 is the oldest allowed"
                )
        if found.volatile and not location.allow_volatile:
            raise StoreRefused(
                f"{location.address}: {found.volatile}. To use it all the same, add allowVolatile=true to the URL"
            )
        limits = [each.proto_max_bulk_len for each in settings if each.proto_max_bulk_len]
        self._server.largest_value = min(limits, default=self._server.largest_value)
        identity, _ = self._identity()
        if (newest := identity["schema_version"]) > SCHEMA_VERSION:
            raise StoreRefused(
                f"{location.address} has records of schema {newest}, newer than this program's ({SCHEMA_VERSION}): use"
                " a newer version of resumable-jobs"
            )

    def _identity(self) -> tuple[dict[str, str], int]:
        """The store's UUID and schema, and its clock. One that lost everything gets another UUID: readers notice."""
        request = rows.request(uuid=str(uuid.uuid4()), schema_version=SCHEMA_VERSION)
        stored, now = self._server.run("make_store", (STORE,), request)
        return {name: each.decode() for name, each in rows.pairs(stored).items()}, now

    def _grade(self) -> tuple[list[Settings], Grade]:
        with self._server.named_errors():
            settings = [read_settings(client) for client in self._server.primaries()]
        return settings, worst([grade(each, self._server.location.wait_replicas) for each in settings])

    def migrate(self) -> None:
        """Look at the server now: grade it, and give it its UUID if it has none. There is no older layout so far."""
        _ = self.server

    def close(self) -> None:
        """Close all connections."""
        self._server.close()

    # The worker's calls.

    def begin(self, fence: Fence, beginning: Beginning) -> BeginOutcome:
        return worker.begin(self.server, fence, beginning)

    def start_step(self, fence: Fence, write: Write, step: StartedStep) -> StartOutcome:
        return worker.start_step(self.server, fence, write, step)

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        return worker.finish_step(self.server, fence, write, step)

    def save_cursor(self, fence: Fence, write: Write, cursor: SavedCursor) -> WriteOutcome:
        return worker.save_cursor(self.server, fence, write, cursor)

    def heartbeat(self, fence: Fence, activity: tuple[StepActivity, ...] = ()) -> WriteOutcome:
        return worker.heartbeat(self.server, fence, activity)

    def save_payload(self, fence: Fence, write: Write, payload: Encoded) -> WriteOutcome:
        return worker.save_payload(self.server, fence, write, payload)

    def read_signals(self, fence: Fence) -> SignalsOutcome:
        return worker.read_signals(self.server, fence)

    def forget_step(self, fence: Fence, write: Write, name: str, key: str) -> WriteOutcome:
        return worker.forget_step(self.server, fence, write, name, key)

    def end_run(self, fence: Fence, write: Write, end: RunEnd) -> WriteOutcome:
        return worker.end_run(self.server, fence, write, end)

    # The controller's.

    def create_run(self, run: NewRun) -> Run:
        return changes.create_run(self.server, run)

    def set_input(self, run_id: str, expected: Expected, value: Encoded | None) -> ChangeOutcome:
        return changes.set_input(self.server, run_id, expected, value)

    def mint(self, run_id: str, expected: Expected, nonce: str) -> ChangeOutcome:
        return changes.mint(self.server, run_id, expected, nonce)

    def bind_pod(
        self, run_id: str, attempt: int, nonce: str, *, pod_name: str, pod_uid: str, node: str = ""
    ) -> ChangeOutcome:
        return changes.bind_pod(self.server, run_id, attempt, nonce, pod_name=pod_name, pod_uid=pod_uid, node=node)

    def request_stop(self, run_id: str, expected_attempt: int, reason: str) -> ChangeOutcome:
        return changes.request_stop(self.server, run_id, expected_attempt, reason)

    def count_end(self, run_id: str, end: AttemptEnd) -> ChangeOutcome:
        return changes.count_end(self.server, run_id, end)

    def settle(
        self, run_id: str, expected: Expected, to: RunStatus, *, reason: str, message: str = ""
    ) -> ChangeOutcome:
        return changes.settle(self.server, run_id, expected, to, reason=reason, message=message)

    def restart(self, run_id: str, expected: Expected, request: RestartRequest) -> ChangeOutcome:
        return changes.restart(self.server, run_id, expected, request)

    def fork_run(self, source_id: str, new: NewRun, up_to: StepRef | None) -> Run | None:
        return fork.fork_run(self.server, source_id, new, up_to)

    def send_signal(self, run_id: str, signal: NewSignal) -> SendOutcome:
        return signals.send_signal(self.server, run_id, signal)

    def collect(self) -> int:
        server = self.server
        _, now = self._identity()
        return retention.collect(server, now)

    def delete_run(self, run_id: str) -> None:
        changes.delete_run(self.server, run_id)

    # The readers'.

    def info(self) -> StoreInfo:
        _ = self.server  # looked at, if this is the first use
        _, found = self._grade()
        identity, now = self._identity()
        return StoreInfo(
            uuid=identity["uuid"],
            schema_version=identity["schema_version"],
            durable=found.durable,
            durability=found.why,
            now=rows.moment(now),
        )

    def get_run(self, run_id: str) -> Run | None:
        return views.get_run(self.server, run_id)

    def view(self, run_id: str, *, steps: int = 12) -> RunView | None:
        return views.view(self.server, run_id, steps)

    def list_runs(self, namespace: str | None = None, *, limit: int = 500) -> tuple[Run, ...]:
        return register.list_runs(self.server, namespace, limit)

    def list_steps(self, run_id: str) -> tuple[Step, ...]:
        return views.list_steps(self.server, run_id)

    def list_cursors(self, run_id: str) -> tuple[Cursor, ...]:
        return views.list_cursors(self.server, run_id)

    def list_events(self, run_id: str, *, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        return views.list_events(self.server, run_id, after, limit)

    def list_tries(self, run_id: str) -> tuple[StepTry, ...]:
        return views.list_tries(self.server, run_id)

    def list_signals(self, run_id: str) -> tuple[Signal, ...]:
        return views.list_signals(self.server, run_id)

    def list_woken(self, *, limit: int = 500) -> tuple[str, ...]:
        return register.list_woken(self.server, limit)
