"""A service over a real SQLite, whose callers are known by made-up tokens."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from resumable.service.authentication import Authenticator, NotAuthenticated
from resumable.service.caller import AccountCaller, Caller, ServiceAccount
from resumable.state.outcome import Begun, Changed
from resumable.state.record import Fence, Write
from resumable.state.remote import RemoteStore
from resumable.state.sql.store import SqlStore
from resumable.state.store import Beginning, Expected, NewRun
from tests.servers.state_service import running_service

CONTROLLER = ServiceAccount("resumable-system", "controller")
MAX_REQUEST_BYTES = 100_000


class TokenTable:
    """An authenticator that knows these tokens."""

    def __init__(self, callers: dict[str, Caller]) -> None:
        self._callers = callers

    async def authenticate(self, token: str) -> Caller:
        if token not in self._callers:
            raise NotAuthenticated("the token is not valid")
        return self._callers[token]


CALLERS: dict[str, Caller] = {
    "controller": AccountCaller(CONTROLLER, "controller-0", "uid-controller"),
    "pod-a": AccountCaller(ServiceAccount("team-a", "default"), "a-r1", "uid-a"),
    "pod-b": AccountCaller(ServiceAccount("team-a", "default"), "b-r1", "uid-b"),
    "pod-other": AccountCaller(ServiceAccount("team-b", "default"), "other-r1", "uid-other"),
    "person": AccountCaller(ServiceAccount("team-a", "default")),
}


@asynccontextmanager
async def known_tokens() -> AsyncIterator[Authenticator]:
    yield TokenTable(CALLERS)


@dataclass
class Service:
    """A running service, its store, and clients with somebody's token."""

    url: str
    store: SqlStore
    folder: Path

    def client(self, token: str | None) -> RemoteStore:
        if token is None:
            return RemoteStore(self.url)
        file = self.folder / token
        file.write_text(token)
        return RemoteStore(self.url, token_file=file)

    def minted(self, run_id: str, namespace: str = "team-a") -> Fence:
        """A run whose first attempt was minted; no pod is bound yet."""
        run = self.store.create_run(NewRun(id=run_id, namespace=namespace, name=run_id))
        outcome = self.store.mint(run_id, Expected.of(run), nonce=secrets.token_hex(16))
        assert isinstance(outcome, Changed)
        return outcome.run.fence

    def bound(self, run_id: str, pod_uid: str, namespace: str = "team-a") -> Fence:
        fence = self.minted(run_id, namespace)
        outcome = self.store.bind_pod(run_id, fence.attempt, fence.nonce, pod_name=f"{run_id}-r1", pod_uid=pod_uid)
        assert isinstance(outcome, Changed)
        return fence

    def begun(self, run_id: str, pod_uid: str, namespace: str = "team-a") -> Fence:
        fence = self.bound(run_id, pod_uid, namespace)
        outcome = self.store.begin(fence, Beginning(process_id="process", pod_uid=pod_uid))
        assert isinstance(outcome, Begun)
        return fence


@pytest.fixture(scope="session")
def one_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    store = SqlStore(f"sqlite:///{folder}/state.db")
    with running_service(
        store, authenticator=known_tokens, controller=CONTROLLER, max_request_bytes=MAX_REQUEST_BYTES
    ) as url:
        yield Service(url, store, folder)
    store.close()


@pytest.fixture
def service(one_service: Service) -> Iterator[Service]:
    """One for all tests, as starting one takes a moment; each finds it empty."""
    yield one_service
    for run in one_service.store.list_runs():
        one_service.store.delete_run(run.id)


def write(sequence: int = 1) -> Write:
    return Write(write_id=f"write-{sequence}", sequence=sequence)
