"""Retries, effects, undoing and transactions in processes that are really killed."""

import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from resumable.state.record import RunStatus
from resumable.state.sql.store import SqlStore
from tests.sdk.process import Workplace, wait_for
from tests.servers.postgresql import postgresql
from tests.unit.sdk.worker import run_of


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as running:
        yield running.new_database().replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """An empty table `entry` in a real PostgreSQL."""
    engine = create_engine(server)
    with engine.begin() as connection:
        for table in ("entry", "resumable_step", "resumable_cursor"):
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
        connection.execute(text("CREATE TABLE entry (n INTEGER)"))
    yield server
    engine.dispose()


def entries(url: str) -> list[int]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = sorted(connection.execute(text("SELECT n FROM entry")).scalars())
    engine.dispose()
    return found


def scene(name: str, url: str = "") -> tuple[str, ...]:
    return ("--set", f"scene={name}", *(("--set", f"url={url}") if url else ()))


def test_a_try_that_was_killed_does_not_count(place: Workplace) -> None:
    for n in range(1, 4):
        process = place.start("promises", *scene("retries"))
        wait_for(lambda n=n: len(place.effects()) == n, f"try {n}")  # type: ignore[misc]
        process.kill()
    (place.folder / "go").touch()
    assert place.run("promises", *scene("retries")).exit_code() == 78
    assert place.effects() == ["try"] * 5  # three that were killed, and the policy's two


def test_an_effect_that_was_cut_off_is_asked_about_and_not_repeated(place: Workplace) -> None:
    process = place.start("promises", *scene("ask"))
    process.wait_for_effect("charge")
    process.kill()
    again = place.run("promises", *scene("ask"))
    assert again.exit_code() == 76
    assert "step charge runs at most once, and whether it took effect is unknown" in again.log
    assert place.run("promises", *scene("ask")).exit_code() == 1  # paused: a person is asked
    assert place.effects() == ["charge"]


@pytest.mark.parametrize("killed_in", [2, 1, 0])
def test_killed_while_it_undoes_the_next_attempt_undoes_the_rest(place: Workplace, killed_in: int) -> None:
    killed = place.run("promises", *scene("undo"), env={"KILLED_IN": str(killed_in)})
    assert killed.exit_code() == -signal.SIGKILL
    assert place.run("promises", *scene("undo")).exit_code() == 78
    undone = [effect for effect in place.effects() if effect.startswith("undone")]
    assert undone == ["undone 2", "undone 1", "undone 0"]
    assert place.effects().count(f"undo {killed_in}") == 2
    assert len(place.effects()) == 7
    store = SqlStore(f"sqlite:///{place.folder}/.resumable/state.db")
    assert run_of(store, "promises").status is RunStatus.FAILED
    store.close()


def test_killed_between_the_authors_commit_and_ours_a_transaction_is_not_repeated(place: Workplace, url: str) -> None:
    assert place.run("promises", *scene("transaction", url)).exit_code() == -signal.SIGKILL
    assert entries(url) == [7]
    again = place.run("promises", *scene("transaction", url))
    assert (again.exit_code(), again.output) == (0, '"7"\n')
    assert entries(url) == [7]


def test_killed_between_the_authors_commit_and_ours_no_batch_is_repeated(place: Workplace, url: str) -> None:
    assert place.run("promises", *scene("batches", url)).exit_code() == -signal.SIGKILL
    assert entries(url) == [0, 1, 2]
    again = place.run("promises", *scene("batches", url))
    assert (again.exit_code(), again.output) == (0, '"6"\n')
    assert entries(url) == [0, 1, 2, 3, 4, 5]
    assert place.effects() == ["batch 0", "batch 1", "batch 3", "batch 4", "batch 5"]
