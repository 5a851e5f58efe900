"""State services that start at the same moment on one empty database: one migrates, all serve."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from resumable.state.outcome import Begun, Changed, Stored
from resumable.state.record import Write
from resumable.state.remote import RemoteStore
from resumable.state.store import Beginning, Expected, FinishedStep, NewRun
from tests.contract.stores import Surroundings
from tests.servers.state_service import ServiceProcess

TOGETHER = 3


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def empty_database(request: pytest.FixtureRequest, surroundings: Surroundings, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    if request.param == "redis":
        server = surroundings.redis()
        server.execute("FLUSHALL")
        return server.url()
    return surroundings.postgresql().new_database()


@pytest.fixture
def clients(empty_database: str, tmp_path: Path) -> Iterator[list[RemoteStore]]:
    with ExitStack() as running:
        services = []
        for number in range(TOGETHER):
            services.append(ServiceProcess(empty_database, tmp_path / f"log-{number}"))
            running.callback(services[-1].kill)
        for service in services:
            service.wait_until_ready()
        yield [running.enter_context(closing(RemoteStore(service.url))) for service in services]


def test_services_that_start_at_once_on_an_empty_database_all_serve_it(clients: list[RemoteStore]) -> None:
    first, second, third = clients
    run = first.create_run(NewRun(id="run", namespace="default", name="run"))
    minted = second.mint("run", Expected.of(run), secrets.token_hex(16))
    assert isinstance(minted, Changed)
    assert isinstance(third.begin(minted.run.fence, Beginning(process_id="process")), Begun)

    assert first.finish_step(minted.run.fence, Write("write", 1), FinishedStep(name="step")) == Stored()

    assert [[step.name for step in client.list_steps("run")] for client in clients] == [["step"]] * TOGETHER
    assert len({client.info().uuid for client in clients}) == 1
