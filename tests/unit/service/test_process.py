"""The service as a process: killed under load, stopped with requests under way."""

import itertools
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import urllib3

from resumable.service.server import ServiceSettings, StartRefused, serve
from resumable.state.outcome import AlreadyStored, Begun, Changed, Stored, StoreUnavailable
from resumable.state.record import Encoded, Fence, Write, WriteRef
from resumable.state.remote import RemoteStore
from resumable.state.store import Beginning, Expected, FinishedStep, NewRun, Store
from resumable.state.wire import FinishStepRequest
from tests.servers.state_service import ServiceProcess

WRITERS = 4


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db"


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    process = ServiceProcess(database, tmp_path / "log")
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.kill()


def begun(store: Store, run_id: str) -> Fence:
    run = store.create_run(NewRun(id=run_id, namespace="default", name=run_id))
    changed = store.mint(run_id, Expected.of(run), secrets.token_hex(16))
    assert isinstance(changed, Changed)
    assert isinstance(store.begin(changed.run.fence, Beginning(process_id=secrets.token_hex(16))), Begun)
    return changed.run.fence


class Writer(threading.Thread):
    """Finishes step after step, as a worker does; goes on with the same write after a lost reply, when told where."""

    def __init__(self, store: Store, run_id: str) -> None:
        super().__init__()
        self.store = store
        self.fence = begun(store, run_id)
        self.acknowledged: list[str] = []
        self.unknown: tuple[Write, FinishedStep] | None = None
        self.after: WriteRef | None = None

    def run(self) -> None:
        for number in itertools.count(len(self.acknowledged)):
            step = FinishedStep(name="step", key=str(number), ordinal=number, result=Encoded("json", b"%d" % number))
            write = Write(secrets.token_hex(16), number + 1, self.after)
            try:
                outcome = self.store.finish_step(self.fence, write, step)
            except StoreUnavailable:
                self.unknown = write, step
                return
            assert outcome == Stored()
            self.acknowledge(write, step)

    def acknowledge(self, write: Write, step: FinishedStep) -> None:
        self.acknowledged.append(step.key)
        self.after = WriteRef("step", step.name, step.key, write.write_id, write.sequence)


def test_every_acknowledged_write_outlives_a_kill_under_load(
    service: ServiceProcess, database: str, tmp_path: Path
) -> None:
    with closing(RemoteStore(service.url)) as store:
        writers = [Writer(store, f"run-{number}") for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        wait_until(lambda: all(len(writer.acknowledged) >= 25 for writer in writers), "each writer has 25 answers")

        service.kill()

        for writer in writers:
            writer.join()
        again = ServiceProcess(database, tmp_path / "log", port=service.port)
        try:
            again.wait_until_ready()
            for writer in writers:
                found = [step.key for step in store.list_steps(writer.fence.run_id)]
                assert found[: len(writer.acknowledged)] == writer.acknowledged
                assert len(found) <= len(writer.acknowledged) + 1  # the one whose answer was lost may have landed
                assert writer.unknown is not None
                write, step = writer.unknown
                landed = len(found) > len(writer.acknowledged)
                outcome = store.finish_step(writer.fence, write, step)
                assert outcome == (AlreadyStored() if landed else Stored())
        finally:
            again.kill()


def test_sigterm_finishes_the_requests_that_are_under_way(service: ServiceProcess) -> None:
    """A request is under way for certain when the service has asked for its body."""
    with closing(RemoteStore(service.url)) as store:
        fence = begun(store, "run")
    request = FinishStepRequest(
        attempt=fence.attempt, nonce=fence.nonce, write=Write("write", 1), step=FinishedStep(name="step")
    )
    body = msgspec.json.encode(request)
    exit_codes: list[int] = []
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/runs/run/finish-step HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        stopping = threading.Thread(target=lambda: exit_codes.append(service.terminate()))
        stopping.start()
        wait_until(lambda: not accepts_connections(service.port), "the service takes no new connections")

        connection.sendall(body)

        answer = connection.makefile("rb").read()
    stopping.join()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(msgspec.json.encode(Stored()))
    assert exit_codes == [0]


def accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_service_whose_database_was_migrated_by_another_version_is_not_ready(
    service: ServiceProcess, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("UPDATE schema_version SET version_num = '9999'")
        database.commit()

    answer = urllib3.request("GET", f"{service.url}/readyz", retries=False)

    assert answer.status == 503
    assert "9999" in answer.json()["detail"]
    assert urllib3.request("GET", f"{service.url}/livez", retries=False).status == 200


def wrong(**settings: object) -> ServiceSettings:
    return ServiceSettings(**{"store_url": "sqlite:////nowhere/state.db"} | settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (wrong(auth="none"), "--host 127.0.0.1"),
        (wrong(auth="none", host="10.0.0.1"), "not for 10.0.0.1"),
        (wrong(), "--controller-service-account"),
        (wrong(controller_service_account="controller"), "give namespace/name"),
        (wrong(controller_service_account="ns/name", kubeconfig="/nowhere/config"), "no way to the Kubernetes API"),
        (wrong(controller_service_account="ns/name"), "--kubeconfig"),
        (wrong(auth="none", host="127.0.0.1"), "/nowhere/state.db"),
        (wrong(auth="none", host="127.0.0.1", store_url="http://127.0.0.1:1"), "in a database or in Redis"),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, settings: ServiceSettings, why: str
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)  # these tests may run in a pod
    with pytest.raises(StartRefused, match=why) as refused:
        serve(settings)
    assert "\n" not in str(refused.value)


def test_a_port_that_is_taken_is_named(service: ServiceProcess, tmp_path: Path) -> None:
    settings = ServiceSettings(
        store_url=f"sqlite:///{tmp_path}/other.db", host="127.0.0.1", port=service.port, auth="none"
    )
    with pytest.raises(StartRefused, match=f"can't listen on 127.0.0.1 port {service.port}: Address already in use"):
        serve(settings)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)
