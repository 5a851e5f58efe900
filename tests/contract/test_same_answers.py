"""Any sequence of calls gets the same answers from Redis as from SQL, and leaves the same record.

The two have no line of judging code in common: SQLite in memory is the reference for the scripts. Times differ; that
there is one does not.
"""

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from resumable.state.outcome import AlreadyStored, Changed, Started, Stored, StoreRefused
from resumable.state.record import EndKind, Event, Fence, RunStatus, StepRef, Write, WriteRef
from resumable.state.redis.store import RedisStore
from resumable.state.sql.store import SqlStore
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
    Store,
)
from tests.contract.runs import encoded
from tests.contract.stores import Surroundings

names = st.sampled_from(["load", "import"])
keys = st.sampled_from(["", "a"])
signals = st.sampled_from(["go", "stop"])
payloads = st.none() | st.integers(0, 2).map(encoded)
kept_ms = st.sampled_from([None, None, 0, 3_600_000])
refs = st.builds(StepRef, names, st.none() | keys)
statuses = st.sampled_from(list(RunStatus))

finished = st.builds(
    FinishedStep,
    name=names,
    key=keys,
    ordinal=st.integers(0, 3),
    result=st.none() | st.integers(0, 3).map(encoded),
    error=st.sampled_from(["", "", "", "no"]),
    final=st.booleans(),
    retry_after_ms=st.sampled_from([None, 1000]),
    expires_after_ms=kept_ms,
    until_done=st.booleans(),
    payload=payloads,
    consumes=st.sampled_from(["", "", "", "1", "2"]),
    signal_seq=st.sampled_from([None, None, 0, 1]),
)
saved = st.builds(
    SavedCursor,
    name=names,
    key=keys,
    ordinal=st.integers(0, 3),
    value=payloads,
    checkpoint=st.sampled_from(["", "a", "b"]),
    progress_current=st.sampled_from([None, 1.0, 2.5]),
    payload=payloads,
)
begun = st.builds(
    StartedStep, name=names, key=keys, effect=st.sampled_from(["", "at-most-once"]), deadline_after_ms=kept_ms
)
ended = st.builds(
    RunEnd,
    status=st.sampled_from([RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.PAUSED, RunStatus.WAITING]),
    reason=st.sampled_from(["", "Because"]),
    result=payloads,
    error=st.sampled_from(["", "trace"]),
    wake_on=st.lists(signals, max_size=2, unique=True).map(tuple),
    wake_after_ms=kept_ms,
    signal_seq=st.sampled_from([None, 0, 1]),
    expires_after_ms=kept_ms,
)
# What the worker calls: of which attempt (counted from the newest), what, and how the write is numbered.
attempts = st.sampled_from([0, 0, 0, 1])
numbering = st.sampled_from(["next", "next", "next", "next", "again", "late", "after what is gone"])
worker_calls = st.tuples(
    st.just("worker"), attempts, numbering, st.one_of(finished, saved, begun, ended, st.tuples(names, keys), payloads)
)
other_calls = st.one_of(
    st.tuples(st.just("mint"), st.booleans()),
    st.tuples(
        st.just("begin"), attempts, st.sampled_from(["p", "p", "q"]), st.sampled_from(["1", "2"]), st.integers(1, 3)
    ),
    st.tuples(st.just("show"), attempts, st.lists(st.tuples(names, keys), max_size=2)),
    st.tuples(st.just("signals"), attempts),
    st.tuples(st.just("send"), st.sampled_from(["1", "2", "3"]), signals),
    st.tuples(st.just("count"), attempts, statuses),
    st.tuples(st.just("settle"), statuses),
    st.tuples(st.just("stop"), st.sampled_from(["Suspended", "RolledOut"])),
    st.tuples(st.just("input"), payloads),
    st.tuples(st.just("restart"), st.integers(0, 9), st.none() | refs, st.lists(refs, max_size=1).map(tuple)),
    st.tuples(st.just("collect")),
)
# Most sequences would stay with a run that never begins.
beginning = st.just([("mint", True), ("begin", 0, "p", "1", 2)])
calls = st.tuples(beginning, st.lists(worker_calls | worker_calls | other_calls, max_size=25)).map(
    lambda both: both[0] + both[1]
)


@dataclass
class Driver:
    """Makes the calls on one store. Two that are told the same ask the same, as long as they get the same answers."""

    store: Store
    run_id: str
    fences: list[Fence] = field(default_factory=list)
    sequence: int = 0
    after: WriteRef | None = None
    last: Write | None = None

    def expected(self) -> Expected:
        run = self.store.get_run(self.run_id)
        return Expected.of(run) if run else Expected(0, RunStatus.PENDING, 1)

    def fence(self, back: int) -> Fence:
        return self.fences[-1 - back] if len(self.fences) > back else Fence(self.run_id, 1, "n")

    def write(self, numbering: str) -> Write:
        if numbering == "again" and self.last:
            return self.last
        self.sequence += 1
        number = 1 if numbering == "late" else self.sequence
        after = WriteRef("step", "load", "z", "f" * 32, 99_999) if numbering == "after what is gone" else self.after
        self.last = Write(f"{self.sequence:032x}", number, after)
        return self.last

    def call(self, call: Any) -> Any:
        try:
            return self._call(*call)
        except StoreRefused as error:
            return str(error).split(";")[0]

    def _call(self, kind: str, *of: Any) -> Any:
        store, run_id = self.store, self.run_id
        match kind, of:
            case "worker", (back, how, what):
                return self._write(self.fence(back), self.write(how), what)
            case "mint", (fresh,):
                nonce = f"nonce-{len(self.fences) if fresh else 0}"
                outcome = store.mint(run_id, self.expected(), nonce)
                if isinstance(outcome, Changed) and outcome.run.fence not in self.fences:
                    self.fences.append(outcome.run.fence)
                    self.after, self.sequence = None, 1000 * len(self.fences)
                return outcome
            case "begin", (back, process, code, version):
                asked = Beginning(process_id=process, code_version=code, record_version=version)
                return store.begin(self.fence(back), asked)
            case "show", (back, shown):
                return store.heartbeat(self.fence(back), tuple(StepActivity(name=n, key=k) for n, k in shown))
            case "signals", (back,):
                return store.read_signals(self.fence(back))
            case "send", (number, name):
                return store.send_signal(run_id, NewSignal(id=number, name=name, payload=encoded(name), sender="me"))
            case "count", (back, to):
                end = AttemptEnd(
                    attempt=self.fence(back).attempt, kind=EndKind.FAILURE, cause="Error", to=to, reason="R"
                )
                return store.count_end(run_id, end)
            case "settle", (to,):
                return store.settle(run_id, self.expected(), to, reason="Asked", message="by a person")
            case "stop", (reason,):
                return store.request_stop(run_id, self.expected().attempt, reason)
            case "input", (value,):
                return store.set_input(run_id, self.expected(), value)
            case "restart", (number, from_step, forget):
                request = RestartRequest(request_id=f"request-{number}", from_step=from_step, forget=forget)
                outcome = store.restart(run_id, self.expected(), request)
                self.after = None  # it may be what was forgotten
                return outcome
            case "collect", ():
                return store.collect()
        raise AssertionError(kind)

    def _write(self, fence: Fence, write: Write, what: Any) -> Any:
        store = self.store
        match what:
            case FinishedStep():
                return self._remember(store.finish_step(fence, write, what), "step", what, write)
            case SavedCursor():
                return self._remember(store.save_cursor(fence, write, what), "cursor", what, write)
            case StartedStep():
                return self._remember(store.start_step(fence, write, what), "step", what, write)
            case RunEnd():
                return store.end_run(fence, write, what)
            case (name, key):
                outcome = store.forget_step(fence, write, name, key)
                if isinstance(outcome, Stored | AlreadyStored):
                    self.after = None
                return outcome
            case _:
                return store.save_payload(fence, write, what or encoded(None))

    def _remember(self, outcome: Any, kind: str, what: Any, write: Write) -> Any:
        if isinstance(outcome, Stored | Started):
            self.after = WriteRef(kind, what.name, what.key, write.write_id, write.sequence)
        return outcome

    def record(self) -> Any:
        """All that the store has of the run."""
        store, run_id = self.store, self.run_id
        return [
            store.get_run(run_id),
            store.view(run_id, steps=3),
            store.list_steps(run_id),
            store.list_cursors(run_id),
            store.list_tries(run_id),
            store.list_signals(run_id),
            store.list_events(run_id),
        ]


def timeless(value: Any) -> Any:
    """A value with every time in it replaced by the word."""
    match value:
        case datetime():
            return "a time"
        case Event():
            return (value.type, value.message, value.attempt)
        case msgspec.Struct():
            return (type(value).__name__, {f: timeless(getattr(value, f)) for f in value.__struct_fields__})
        case tuple() | list():
            return [timeless(each) for each in value]
        case _:
            return value


@pytest.fixture(scope="module")
def redis(surroundings: Surroundings) -> Iterator[RedisStore]:
    with closing(RedisStore(surroundings.redis().url())) as store:
        yield store


@pytest.fixture(scope="module")
def sql() -> Iterator[SqlStore]:
    with closing(SqlStore("sqlite://")) as store:
        yield store


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls=calls)
def test_redis_answers_as_sql_does(redis: RedisStore, sql: SqlStore, calls: list[Any]) -> None:
    run_id = secrets.token_hex(8)
    reference, other = Driver(sql, run_id), Driver(redis, run_id)
    new = NewRun(id=run_id, namespace="default", name="import", input=encoded(1))
    try:
        assert timeless(redis.create_run(new)) == timeless(sql.create_run(new))
        for call in calls:
            answer = timeless(reference.call(call))
            assert timeless(other.call(call)) == answer, call
            assert timeless(other.record()) == timeless(reference.record()), call
    finally:
        redis.delete_run(run_id)
        sql.delete_run(run_id)
