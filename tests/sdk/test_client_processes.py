"""One run and several real processes: whoever has the store's address and the run's id may take it over."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from resumable import Client
from resumable.sdk.exit_codes import ExitCode
from resumable.state.record import EndKind
from resumable.state.sql.store import SqlStore
from tests.sdk.process import JobProcess, Workplace, wait_for
from tests.servers.postgresql import postgresql
from tests.servers.redis import redis_server
from tests.servers.state_service import ServiceProcess


@pytest.fixture(params=["sqlite", "http", "postgresql", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    file = f"sqlite:///{tmp_path / 'runs.db'}"
    with ExitStack() as running:
        if request.param == "sqlite":
            yield file
        elif request.param == "postgresql":
            database = running.enter_context(postgresql()).database("runs")
            with closing(SqlStore(database)) as store:
                store.migrate()
            yield database
        elif request.param == "redis":
            yield running.enter_context(redis_server()).url()
        else:
            service = ServiceProcess(file, tmp_path / "service.log")
            running.callback(service.kill)
            service.wait_until_ready()
            yield service.url


def saves(place: Workplace, process: JobProcess) -> list[int]:
    lines = [effect.split() for effect in place.effects()]
    return [int(turn) for _, turn, *_, pid in lines if int(pid) == process.pid]


def under_way(place: Workplace, url: str) -> JobProcess:
    process = place.start("scenes", "--set", "scene=saving", "--store", url)
    wait_for(lambda: len(place.effects()) > 3 or not process.running(), "some saves")
    assert process.running(), process.log
    return process


def test_another_process_takes_a_run_over_and_the_first_one_is_fenced(place: Workplace, url: str) -> None:
    first = under_way(place, url)
    second = place.start("takes_over", "resume", url, "scenes")
    assert first.exit_code() == ExitCode.FENCED
    assert "attempt 1 of run scenes may not write any more" in first.log
    wait_for(lambda: len(saves(place, second)) > 3, "saves of the second")
    (place.folder / "go").touch()
    assert second.exit_code() == 0, second.log
    assert second.output == "saving\n"
    assert saves(place, second)[0] == saves(place, first)[-1] + 1, "it goes on where the first was"
    with Client(url) as client:
        run = client.get("scenes")
        assert client.result("scenes") == "saving"
    assert [(attempt.end_kind, attempt.cause) for attempt in run.attempts] == [
        (EndKind.INTERRUPTION, "TakenOver"),
        (EndKind.COMPLETION, "Completed"),
    ]


def test_a_process_is_stopped_from_another_and_saves_what_it_did(place: Workplace, url: str) -> None:
    first = under_way(place, url)
    with Client(url) as client:
        assert client.stop("scenes", timeout="30s").status == "Interrupted"
        assert first.exit_code() == ExitCode.INTERRUPTED
        second = place.start("takes_over", "start", url, "scenes")
        (place.folder / "go").touch()
        assert client.result("scenes", str, timeout="30s") == "saving"
    assert second.exit_code() == 0, second.log
    assert saves(place, second)[:1] in ([], [saves(place, first)[-1] + 1])


def test_a_cancelled_run_ends_its_process_and_is_not_gone_on_with(place: Workplace, url: str) -> None:
    first = under_way(place, url)
    with Client(url) as client:
        assert client.cancel("scenes", timeout="30s").status == "Cancelled"
    assert first.exit_code() == ExitCode.INTERRUPTED
    again = place.run("scenes", "--store", url)
    assert again.exit_code() == ExitCode.FAILED_FOR_GOOD
    assert "run scenes is Cancelled already" in again.log


def test_the_run_of_a_killed_process(place: Workplace, url: str) -> None:
    """A local file's lock says that it is dead; elsewhere nobody can know, and `start` fences nobody out."""
    first = under_way(place, url)
    first.kill()
    (place.folder / "go").touch()
    second = place.run("takes_over", "start", url, "scenes")
    if url.startswith("sqlite"):
        assert second.exit_code() == 0, second.log
    else:
        assert second.exit_code() == 1
        assert "RunIsBusy: run 'scenes' is Running, attempt 1, which has not said how it ended" in second.log
        assert "resume() takes it over" in second.log
        third = place.run("takes_over", "resume", url, "scenes")
        assert third.exit_code() == 0, third.log
    with Client(url) as client:
        assert client.result("scenes", timeout=0) == "saving"
