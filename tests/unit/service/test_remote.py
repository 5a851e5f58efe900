"""The client of the state service: what it makes of answers, and of none."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from resumable.state.outcome import Stored, StoreRefused, StoreUnavailable
from resumable.state.record import Encoded, Fence
from resumable.state.remote import RemoteStore, TokenFile
from resumable.state.store import FinishedStep, NewRun
from tests.servers.state_service import free_port
from tests.unit.service.conftest import Service, write


@contextmanager
def answering(status: int, body: bytes = b"", **headers: str) -> Iterator[str]:
    """A server on loopback that is not a state service: a proxy, or another program at a wrong URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [401, 408, 429, 500, 502, 503, 504])
def test_an_answer_that_may_be_another_one_later_is_unavailable(status: int) -> None:
    with (
        answering(status) as url,
        closing(RemoteStore(url)) as store,
        pytest.raises(StoreUnavailable, match=str(status)),
    ):
        store.info()


@pytest.mark.parametrize("status", [302, 400, 403, 404, 413, 422])
def test_an_answer_that_stays_the_same_is_a_refusal(status: int) -> None:
    with answering(status) as url, closing(RemoteStore(url)) as store, pytest.raises(StoreRefused, match=str(status)):
        store.info()


def test_a_strangers_404_is_not_a_lost_record() -> None:
    with answering(404, b"<html>nothing here</html>") as url, closing(RemoteStore(url)) as store:
        with pytest.raises(StoreRefused, match="404"):
            store.get_run("a")
        with pytest.raises(StoreRefused, match="404"):
            store.view("a")


@pytest.mark.parametrize("body", [b"<html>Welcome to nginx</html>", b"", b"{}", b'{"id": "a"}'])
def test_an_answer_that_is_not_a_services_is_unavailable(body: bytes) -> None:
    with answering(200, body) as url:
        store = RemoteStore(url)
        with closing(store), pytest.raises(StoreUnavailable, match="was not answered by a state service"):
            store.get_run("a")


def test_a_run_that_is_not_there_is_none(service: Service) -> None:
    store = service.client("controller")

    assert store.get_run("a") is None
    assert store.view("a") is None
    assert store.list_steps("a") == ()


def test_nobody_there_is_unavailable() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with closing(RemoteStore(url)) as store, pytest.raises(StoreUnavailable, match="does not answer GET /store"):
        store.info()


def test_somebody_silent_is_unavailable_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = RemoteStore(url, timeout=timedelta(milliseconds=50))
        with closing(store), pytest.raises(StoreUnavailable, match="timed out"):
            store.info()


@pytest.mark.parametrize("url", ["sqlite:////tmp/x.db", "resumable-state:8080", "http://", "", "ftp://x"])
def test_a_url_of_another_kind_is_refused_at_once(url: str) -> None:
    with pytest.raises(StoreRefused, match="http://host:port"):
        RemoteStore(url)


@pytest.mark.parametrize("run_id", ["", ".", "..", "a/b", "a\udc80"])
def test_an_id_that_no_path_can_carry_is_refused(run_id: str) -> None:
    with closing(RemoteStore("http://127.0.0.1:1")) as store, pytest.raises(StoreRefused, match="run id"):
        store.get_run(run_id)


@pytest.mark.parametrize("run_id", ["a b", "ä?x=1&y#z", "%2F", "a%2Fb", "a..b", "mint", "+"])
def test_any_other_id_arrives_as_it_is(service: Service, run_id: str) -> None:
    store = service.client("controller")
    store.create_run(NewRun(id=run_id, namespace="team-a", name="x"))

    run = store.get_run(run_id)

    assert run is not None
    assert run.id == run_id


def test_a_replaced_token_is_used_at_once(service: Service, tmp_path: Path) -> None:
    """As the kubelet does it: another folder, and a link that is moved over."""
    volume = tmp_path / "token-volume"
    for version, token in [("..1", "expired"), ("..2", "controller")]:
        (volume / version).mkdir(parents=True)
        (volume / version / "token").write_text(token)
    (volume / "..data").symlink_to("..1")
    (volume / "token").symlink_to("..data/token")
    store = RemoteStore(service.url, token_file=volume / "token")
    with pytest.raises(StoreUnavailable, match="401"):
        store.info()

    (volume / "..new").symlink_to("..2")
    os.replace(volume / "..new", volume / "..data")

    assert store.info().uuid == service.store.info().uuid


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_token_that_is_not_there_yet_is_unavailable(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(StoreUnavailable, match="RESUMABLE_TOKEN_FILE"):
        TokenFile(file).read()


def test_many_threads_share_one_client(service: Service) -> None:
    store = service.client("controller")
    fences = [service.begun(f"run-{number}", f"uid-{number}") for number in range(16)]

    def work(fence: Fence) -> None:
        for sequence in range(1, 11):
            result = Encoded("json", f"{fence.run_id} {sequence}".encode())
            step = FinishedStep(name=f"step {sequence}", ordinal=sequence, result=result)
            assert store.finish_step(fence, write(sequence), step) == Stored()

    with ThreadPoolExecutor(len(fences)) as threads:
        list(threads.map(work, fences))

    for fence in fences:
        stored = [step.result for step in store.list_steps(fence.run_id)]
        assert stored == [Encoded("json", f"{fence.run_id} {sequence}".encode()) for sequence in range(1, 11)]


def test_a_worker_imports_no_database_and_no_cluster_client() -> None:
    script = "import sys, resumable.state.remote; print(*{name.partition('.')[0] for name in sys.modules})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()

    assert {"msgspec", "urllib3"} <= set(loaded)
    assert not {"sqlalchemy", "alembic", "psycopg", "kubernetes", "litestar", "kopf", "aiohttp"} & set(loaded)
