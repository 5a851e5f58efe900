"""The schema: made once however many start at once, never taken back, refused when it is newer than the program."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.dialects.mysql import DOUBLE, LONGBLOB, LONGTEXT

from resumable.state.outcome import Sent, Stored, StoreRefused
from resumable.state.record import RunStatus
from resumable.state.sql.database import open_database
from resumable.state.sql.schema import SCHEMA_VERSION
from resumable.state.sql.store import SqlStore
from resumable.state.sql.tables import metadata
from resumable.state.store import NewSignal
from tests.contract import first_version
from tests.contract.runs import Worker, encoded, new_run, resumed
from tests.contract.stores import Surroundings


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def empty(request: pytest.FixtureRequest, surroundings: Surroundings, tmp_path: Path) -> str:
    """The URL of a database without a schema."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server = surroundings.mariadb() if request.param == "mariadb" else surroundings.postgresql()
    return server.new_database()


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(open_database(url)) as database, database.writing() as connection:
        result = connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def test_processes_that_migrate_at_once_make_one_schema(empty: str) -> None:
    program = f"from resumable.state.sql.store import SqlStore; SqlStore({empty!r}).migrate()"
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert len(execute(empty, "SELECT uuid FROM store")) == 1
    assert execute(empty, "SELECT version_num FROM schema_version") == [(SCHEMA_VERSION,)]


def test_threads_that_migrate_at_once_make_one_schema(empty: str) -> None:
    def migrate(_: int) -> str:
        with closing(SqlStore(empty)) as store:
            store.migrate()
            return store.info().uuid

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(migrate, range(4)))) == 1


def test_a_migrated_database_is_left_as_it_is(empty: str) -> None:
    with closing(SqlStore(empty)) as store:
        store.migrate()
        before = store.info().uuid
        store.migrate()
        assert store.info().uuid == before


def _types_differ(_context: object, _column: object, _declared: object, found: object, _type: object) -> bool | None:
    """None: as Alembic thinks. MariaDB has the widest of its types where the tables say text, bytes or float."""
    return False if isinstance(found, LONGTEXT | LONGBLOB | DOUBLE) else None


def test_the_migrations_make_what_the_tables_say(empty: str) -> None:
    with closing(SqlStore(empty)) as store:
        store.migrate()
    with closing(open_database(empty)) as database, database.reading() as connection:
        ours = MigrationContext.configure(
            connection, opts={"version_table": "schema_version", "compare_type": _types_differ}
        )
        assert compare_metadata(ours, metadata) == []


def test_the_version_that_the_program_knows_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "resumable.state.sql:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


def test_a_newer_schema_is_refused_and_says_so(empty: str) -> None:
    with closing(SqlStore(empty)) as store:
        store.migrate()
    execute(empty, "UPDATE schema_version SET version_num = '9999'")
    with pytest.raises(StoreRefused, match="schema 9999, newer than this program's"), closing(SqlStore(empty)) as store:
        store.migrate()
    with pytest.raises(StoreRefused, match="newer version"), closing(SqlStore(empty)) as store:
        new_run(store)
    assert execute(empty, "SELECT count(*) FROM run") == [(0,)]


def test_a_server_without_a_schema_says_what_to_do(surroundings: Surroundings) -> None:
    with closing(SqlStore(surroundings.postgresql().new_database())) as store:
        with pytest.raises(StoreRefused, match=r"no schema yet.*state service"):
            new_run(store)
        store.migrate()
        assert new_run(store).attempt == 0


# MariaDB changes a schema outside of transactions: what it does instead is in `test_mariadb`.
@pytest.mark.parametrize("empty", ["sqlite", "postgresql"], indirect=True)
def test_a_migration_that_fails_changes_nothing(empty: str) -> None:
    execute(
        empty, "CREATE TABLE store (unlike TEXT)"
    )  # somebody else's: the migration meets it when it has made the rest
    with pytest.raises(StoreRefused, match="store"), closing(SqlStore(empty)) as store:
        store.migrate()
    with pytest.raises(StoreRefused, match=r"run"):
        execute(empty, "SELECT * FROM run")


def test_opening_a_current_database_imports_no_alembic(empty: str) -> None:
    with closing(SqlStore(empty)) as store:
        store.migrate()
    program = (
        "import sys; from resumable.state.sql.store import SqlStore;"
        f"SqlStore({empty!r}).info(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_database_of_the_first_version_is_read_and_its_run_goes_on(empty: str) -> None:
    first_version.fill(empty)
    [(uuid,)] = execute(empty, "SELECT uuid FROM store")
    with closing(SqlStore(empty)) as store:
        store.migrate()
        assert (store.info().uuid, store.info().schema_version) == (uuid, SCHEMA_VERSION)
        view = store.view(first_version.RUN)
        assert view is not None
        run = view.run
        assert (run.status, run.payload, run.code_version) == (RunStatus.RUNNING, encoded({"customer": 7}), "3")
        assert (run.wake_on, run.wake_at, run.signal_seq, run.record_version, run.expires) == ((), None, 0, 1, None)
        assert [(each.generation, each.written_end) for each in view.attempts] == [(1, None)] * 2
        assert [(each.steps_done, each.progressed) for each in view.attempts] == [(1, True), (0, True)]
        assert [(step.name, step.status) for step in store.list_steps(first_version.RUN)] == [
            ("load", "Done"),
            ("import", "Started"),
            ("ship", "Failed"),
        ]
        assert [step.failures for step in view.steps] == [0, 0, 1]
        assert all((step.final, step.effect, step.until_done) == (False, "", False) for step in view.steps)

        # The worker of before writes on under its fence, and knows the new calls.
        worker = Worker(store, run.fence, process_id=first_version.PROCESS_ID, sequence=2)
        assert worker.begin().previous_code_version == "3"  # of the first attempt, as far as anybody knows
        assert worker.save("import", 55, key="a", ordinal=1, payload=encoded({"customer": 8})) == Stored()
        assert worker.finish("ship", ordinal=2, error="OSError: still none", retry_after_ms=5) == Stored()
        second = resumed(worker)
        assert second.begun is not None
        assert [step.name for step in second.begun.steps] == ["load", "import", "ship"]
        assert [cursor.value for cursor in second.begun.cursors] == [encoded(55)]
        assert second.begun.run.payload == encoded({"customer": 8})
        assert second.finish("import", "all", key="a") == Stored()
        assert second.finish("ship", "sent") == Stored()
        assert store.send_signal(first_version.RUN, NewSignal(id="s", name="approval")) == Sent(1)
        assert second.finish("approval", consumes="s") == Stored("", 1)
        assert second.end(RunStatus.SUCCEEDED) == Stored("", 1)
        tries = [(each.name, each.number, each.outcome) for each in store.list_tries(first_version.RUN)]
    assert [each for each in tries if each[0] == "import"] == [
        ("import", 1, "Interrupted"),
        ("import", 2, "Interrupted"),
        ("import", 3, "Done"),
    ]
    assert [each for each in tries if each[0] == "ship"] == [
        ("ship", 1, "Failed"),
        ("ship", 2, "Failed"),
        ("ship", 3, "Done"),
    ]
