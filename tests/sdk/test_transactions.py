"""Steps that are committed in the author's own database, on real ones; the run's own record is a SQLite in memory.

A process that was killed between the author's commit and ours is an attempt whose own write never came.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine, func, insert, select, text
from sqlalchemy.orm import Session

from resumable import (
    Fenced,
    InvalidStep,
    Job,
    JobDefinition,
    Retry,
    StepContext,
    StepFailed,
    StepTimeout,
    UnstorableResult,
    job,
)
from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import StepRun, StepScope
from resumable.sdk.transaction import RunsTransactions, identity_of
from resumable.sdk.transaction_tables import CURSORS, STEPS, claim_step, make_tables
from resumable.state.record import EndKind, RunStatus, StepRef
from resumable.state.sql.store import SqlStore
from resumable.state.store import AttemptEnd, Expected, RestartRequest
from tests.sdk.process import wait_for
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql
from tests.unit.sdk.worker import begin, mint, run_of

DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "mysql": "mysql+pymysql"}

ENTRIES = Table(
    "entry", MetaData(), Column("n", Integer, nullable=False)
)  # no key: what is inserted twice is there twice


@pytest.fixture(scope="module")
def server_url() -> Iterator[Callable[[str], str]]:
    with ExitStack() as running:

        @cache
        def start(kind: str) -> Callable[[], str]:
            server: Any = running.enter_context(postgresql() if kind == "postgresql" else mariadb())
            new: Callable[[], str] = server.new_database
            return new

        def url(kind: str) -> str:
            plain = start(kind)()
            scheme, rest = plain.split("://", 1)
            return f"{DRIVERS[scheme]}://{rest}"

        yield url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest, server_url: Callable[[str], str], tmp_path: Path) -> Iterator[Engine]:
    kind: str = request.param
    engine = create_engine(f"sqlite:///{tmp_path}/own.db" if kind == "sqlite" else server_url(kind))
    ENTRIES.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store() -> Iterator[SqlStore]:
    store = SqlStore("sqlite://")
    yield store
    store.close()


def entries(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return sorted(connection.execute(select(ENTRIES.c.n)).scalars())


def enter(connection: Connection | Session, n: int) -> int:
    connection.execute(insert(ENTRIES).values(n=n))
    return int(connection.execute(select(func.count()).select_from(ENTRIES)).scalar_one())


class KilledBeforeOurWrite(RunsTransactions):
    """A step whose process is gone when the author's commit is through."""

    def __init__(self, store: SqlStore) -> None:
        self._scope = StepScope(begin(store, mint(store)))
        self._said = StepOptions()

    def _drive(self, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert run.enter() is None
        return fn(*run.begin(args), **kwargs)  # type: ignore[misc]


def test_what_it_writes_and_its_record_are_committed_together(store: SqlStore, engine: Engine) -> None:
    @job("j")
    def pay(j: Job) -> int:
        return j.transaction("debit", engine, enter, 7)

    assert pay.run(store=store) == 1
    assert entries(engine) == [7]
    with engine.connect() as connection:
        row = connection.execute(select(STEPS)).one()
    assert (row.run_id, row.generation, row.name, row.key, row.result) == ("j", 1, "debit", "", b"1")


def test_an_error_rolls_all_of_it_back(store: SqlStore, engine: Engine) -> None:
    def debit(connection: Connection) -> None:
        enter(connection, 1)
        raise ValueError("no such account")

    @job("j")
    def pay(j: Job) -> None:
        j.transaction("debit", engine, debit)

    with pytest.raises(ValueError, match="no such account"):
        pay.run(store=store)
    assert entries(engine) == []
    with engine.connect() as connection:
        assert connection.execute(select(STEPS)).all() == []


def test_a_result_that_can_not_be_stored_is_not_committed(store: SqlStore, engine: Engine) -> None:
    @job("j")
    def pay(j: Job) -> None:
        j.transaction("debit", engine, lambda connection: {enter(connection, 1)})

    with pytest.raises(UnstorableResult, match="step 'debit': the result"):
        pay.run(store=store)
    assert entries(engine) == []


def test_killed_between_the_two_commits_it_is_not_done_again(store: SqlStore, engine: Engine) -> None:
    assert KilledBeforeOurWrite(store).transaction("debit", engine, enter, 7) == 1
    with engine.begin() as connection:
        enter(connection, 100)  # the count would be another one now

    @job("job")
    def pay(j: Job) -> int:
        return j.transaction("debit", engine, enter, 7)

    assert pay.run(id="r", store=store) == 1
    assert entries(engine) == [7, 100]


def test_a_zombie_and_its_successor_at_the_same_time_commit_once(store: SqlStore, engine: Engine) -> None:
    zombie = KilledBeforeOurWrite(store)
    inside, go, results = threading.Event(), threading.Event(), []

    def slow(connection: Connection, n: int) -> int:
        enter(connection, n)
        inside.set()
        assert go.wait(20)
        return n

    thread = threading.Thread(target=lambda: results.append(zombie.transaction("debit", engine, slow, 1)))
    thread.start()
    assert inside.wait(20)

    @job("job")
    def pay(j: Job) -> int:
        return j.transaction("debit", engine, enter, 2)

    successor = pay.start(id="r", store=store)  # waits for the row that the zombie has inserted
    threading.Timer(0.3, go.set).start()
    assert successor.result(timeout=20) == 1
    thread.join(20)
    assert results == [1]
    assert entries(engine) == [1]


def test_of_those_that_wait_for_one_that_is_rolled_back_one_runs_and_none_fails(
    store: SqlStore, server_url: Callable[[str], str]
) -> None:
    """MariaDB lets them all have a shared lock then, and kills all but one of them as deadlocked."""
    engine = create_engine(server_url("mariadb"))
    ENTRIES.metadata.create_all(engine)
    make_tables(engine)
    waiting = text("SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
    steps = [KilledBeforeOurWrite(store) for _ in range(3)]
    with engine.connect() as first, ThreadPoolExecutor(len(steps)) as threads:
        claim_step(first, identity_of(steps[0]._scope.attempt, "debit", ""))
        results = [threads.submit(step.transaction, "debit", engine, enter, 7) for step in steps]

        def all_wait() -> bool:
            time.sleep(0.15)  # innodb_trx is a cache that is refreshed when nobody read it for 0.1 s
            with engine.connect() as observer:
                return observer.execute(waiting).scalar_one() == len(steps)

        wait_for(all_wait, "all of them wait for the first")
        first.rollback()
        assert [result.result(timeout=20) for result in results] == [1, 1, 1]
    assert entries(engine) == [7]
    engine.dispose()


def test_a_session_is_one_transaction_too(store: SqlStore, engine: Engine) -> None:
    def debit(session: Session, n: int) -> int:
        return enter(session, n)

    KilledBeforeOurWrite(store).transaction("debit", Session(engine), debit, 7)

    @job("job")
    def pay(j: Job) -> int:
        with Session(engine) as session:
            first = j.transaction("debit", session, debit, 7)
            second = j.transaction("credit", session, debit, 8)
            assert not session.in_transaction()
            return first * 10 + second

    assert pay.run(id="r", store=store) == 12
    assert entries(engine) == [7, 8]


def test_a_try_that_took_too_long_and_its_next_try_commit_once(store: SqlStore, engine: Engine) -> None:
    late = threading.Event()
    calls: list[int] = []

    def slow(connection: Connection) -> int:
        calls.append(1)
        enter(connection, 1)
        if len(calls) == 1:
            late.wait(0.3)
        return len(calls)

    @job("j")
    def pay(j: Job) -> int:
        policy = Retry(max_attempts=None, initial="1ms", on=StepTimeout)
        return j.options(timeout="100ms", retry=policy).transaction("debit", engine, slow)

    pay.run(store=store)
    wait_for(lambda: entries(engine) == [1], "one of them has committed")
    assert entries(engine) == [1]


def test_a_try_that_took_too_long_commits_nothing_when_it_returns(store: SqlStore, engine: Engine) -> None:
    late, returned = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        enter(connection, 1)
        late.wait(30)
        returned.set()

    @job("j")
    def pay(j: Job) -> None:
        j.options(timeout="100ms", retry=Retry(max_attempts=1)).transaction("debit", engine, slow)

    with pytest.raises(StepFailed, match="StepTimeout"):
        pay.run(store=store)
    late.set()
    assert returned.wait(30)
    wait_for(lambda: not any(t.name == "resumable-debit" for t in threading.enumerate()), "its thread has ended")
    assert entries(engine) == []


def test_restarted_from_the_step_it_is_committed_once_more(store: SqlStore, engine: Engine) -> None:
    @job("j")
    def pay(j: Job) -> int:
        return j.transaction("debit", engine, enter, 7)

    pay.run(store=store)
    request = RestartRequest(request_id="again", from_step=StepRef("debit"))
    store.restart("j", Expected.of(run_of(store, "j")), request)
    assert pay.run(store=store) == 2
    assert entries(engine) == [7, 7]


def test_a_worker_that_may_not_make_tables_is_told_what_to_make(store: SqlStore, tmp_path: Path) -> None:
    (tmp_path / "own.db").touch()
    engine = create_engine(f"sqlite:///file:{tmp_path}/own.db?mode=ro&uri=true")

    @job("j")
    def pay(j: Job) -> None:
        j.transaction("debit", engine, enter, 7)

    with pytest.raises(InvalidStep, match=r"the table resumable_step is missing in .* CREATE TABLE resumable_step"):
        pay.run(store=store)


def test_an_engine_without_transactions_is_refused(store: SqlStore, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/own.db", isolation_level="AUTOCOMMIT")

    @job("j")
    def pay(j: Job) -> None:
        j.transaction("debit", engine, enter, 7)

    with pytest.raises(InvalidStep, match="did not roll back what was rolled back"):
        pay.run(store=store)


def test_what_is_no_database_is_refused(store: SqlStore) -> None:
    @job("j")
    def pay(j: Job) -> None:
        with pytest.raises(InvalidStep, match=r"step 'a': transaction\(\) takes an SQLAlchemy Engine or Session"):
            j.transaction("a", "sqlite://", enter, 7)  # type: ignore[call-overload]
        with Session(create_engine("sqlite://")) as session:
            session.begin()
            with pytest.raises(InvalidStep, match="step 'b': the session has a transaction that began before the step"):
                j.transaction("b", session, enter, 7)

    pay.run(store=store)


# Cursors


def batches(step: StepContext[int], engine: Engine, until: int, seen: list[int | None]) -> int:
    seen.append(step.cursor)
    for n in range(step.cursor or 0, until):
        with step.transaction(engine) as connection:
            enter(connection, n)
            step.save(n + 1)
        step.stop_if_asked()
    return step.cursor or 0


def imports(engine: Engine, seen: list[int | None]) -> JobDefinition[[int], int]:
    @job("job")
    def import_rows(j: Job, until: int = 5) -> int:
        return j.step("import", batches, engine, until, seen)

    return import_rows


def in_context(store: SqlStore) -> StepContext[int]:
    """The step "import" of a new attempt, which never ends: its process is killed."""
    attempt = begin(store, mint(store))
    return StepContext(attempt, attempt.enter("import", ""), int, None)


def test_one_step_has_one_engine(store: SqlStore, tmp_path: Path) -> None:
    step = in_context(store)
    first, second = (create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("a", "b"))
    with step.transaction(first):
        pass
    with pytest.raises(InvalidStep, match="is given another engine than before"), step.transaction(second):
        pass
    with (
        step.transaction(first),
        pytest.raises(InvalidStep, match=r"step\.transaction\(\) is entered inside another one"),
        step.transaction(first),
    ):
        pass


def save_batch(step: StepContext[int], engine: Engine, n: int, *, bad: bool = False) -> None:
    with step.transaction(engine) as connection:
        enter(connection, n)
        step.save(n + 1)
        if bad:
            raise ValueError("bad row")


def test_batches_and_cursor_are_committed_together(store: SqlStore, engine: Engine) -> None:
    assert imports(engine, []).run(store=store, id="r") == 5
    assert entries(engine) == [0, 1, 2, 3, 4]
    with engine.connect() as connection:
        row = connection.execute(select(CURSORS)).one()
    assert (row.run_id, row.generation, row.name, row.value, row.sequence) == ("r", 1, "import", b"5", 5)


def test_a_batch_that_raises_is_rolled_back_with_its_cursor(store: SqlStore, engine: Engine) -> None:
    step = in_context(store)
    save_batch(step, engine, 0)
    with pytest.raises(ValueError, match="bad row"):
        save_batch(step, engine, 1, bad=True)
    assert step.cursor == 1
    save_batch(step, engine, 1)
    assert entries(engine) == [0, 1]


def killed_between_the_commits(store: SqlStore, engine: Engine, upto: int) -> None:
    """Batches that the author's database has, and our record doesn't."""
    step = in_context(store)
    step._attempt.save_cursor = lambda *_: None  # type: ignore[method-assign]
    for n in range(upto):
        save_batch(step, engine, n)


def test_killed_between_the_two_commits_the_step_begins_again_from_the_database(
    store: SqlStore, engine: Engine
) -> None:
    killed_between_the_commits(store, engine, 2)
    seen: list[int | None] = []
    assert imports(engine, seen).run(store=store, id="r") == 5
    assert entries(engine) == [0, 1, 2, 3, 4]
    assert seen == [None, 2]
    assert run_of(store).status is RunStatus.SUCCEEDED


def test_a_zombie_commits_no_batch_that_its_successor_has(store: SqlStore, engine: Engine) -> None:
    zombie = in_context(store)
    save_batch(zombie, engine, 0)
    seen: list[int | None] = []
    assert imports(engine, seen).run({"until": 3}, store=store, id="r") == 3
    with (
        pytest.raises(Fenced, match=r"step import: attempt 2 commits its batches now, and this is attempt 1"),
        zombie.transaction(engine) as connection,
    ):
        enter(connection, 1)
    assert entries(engine) == [0, 1, 2]
    assert seen == [1]


def test_a_zombie_that_commits_first_is_gone_on_from(store: SqlStore, engine: Engine) -> None:
    zombie = in_context(store)
    save_batch(zombie, engine, 0)
    successor = in_context(store)
    assert successor.cursor == 1
    with pytest.raises(Fenced):  # by our store: its batch is in
        save_batch(zombie, engine, 1)
    seen: list[int | None] = []
    assert imports(engine, seen).run({"until": 3}, store=store, id="r") == 3
    assert entries(engine) == [0, 1, 2]
    assert seen == [1, 2]


def test_a_restart_that_does_not_forget_the_step_goes_on_from_the_database(store: SqlStore, engine: Engine) -> None:
    step = in_context(store)
    save_batch(step, engine, 0)
    step._attempt.save_cursor = lambda *_: None  # type: ignore[method-assign]
    save_batch(step, engine, 1)
    end = AttemptEnd(attempt=1, kind=EndKind.INTERRUPTION, cause="ProcessLost", to=RunStatus.INTERRUPTED)
    store.count_end("r", end)
    store.restart("r", Expected.of(run_of(store)), RestartRequest(request_id="again"))
    seen: list[int | None] = []
    assert imports(engine, seen).run({"until": 3}, store=store, id="r") == 3
    assert run_of(store).generation == 2
    assert entries(engine) == [0, 1, 2]
    assert seen == [1, 2]
