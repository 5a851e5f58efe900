"""Who calls the state service, by the words of a real API server: tokens as the kubelet asks for them, bound to pods.

The service runs beside the test, so that its clock and its way to the API server can be moved; the pods are never
started, as what counts is what the API server says of their tokens.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from kubernetes.aio.client import ApiClient, AuthenticationV1Api

from resumable.resource.names import TOKEN_AUDIENCE
from resumable.service.authentication import Authenticator
from resumable.service.caller import ServiceAccount
from resumable.service.token_review import REMEMBER_FOR, TokenReviewAuthenticator, load_configuration
from resumable.state.outcome import Begun, Changed, NotBound, Stored, StoreRefused, StoreUnavailable
from resumable.state.record import Fence, Write
from resumable.state.remote import RemoteStore
from resumable.state.sql.store import SqlStore
from resumable.state.store import Beginning, Expected, FinishedStep, NewRun
from tests.cluster import Cluster, paths
from tests.servers.state_service import running_service


class Relay:
    """A way to the API server that can be cut, for this service alone."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._cut = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        """End all connections and take no more."""
        self._cut = True
        # A blocked accept() outlives the close of its socket; a connection wakes it.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._accepting.join()
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            inside, _ = self._listener.accept()
            if self._cut:
                inside.close()
                return
            outside = socket.create_connection(self._target)
            self._connections += [inside, outside]
            for source, sink in ((inside, outside), (outside, inside)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@dataclass
class Service:
    """A state service that asks the test cluster's API server, and the tokens of that cluster."""

    cluster: Cluster
    url: str
    store: SqlStore
    relay: Relay
    folder: Path
    ahead: float = 0.0  # seconds by which the service's clock is ahead
    clients: list[RemoteStore] = field(default_factory=list)

    def now(self) -> float:
        return time.time() + self.ahead

    def client(self, token: str) -> RemoteStore:
        file = self.folder / secrets.token_hex(4)
        file.write_text(token)
        self.clients.append(RemoteStore(self.url, token_file=file))
        return self.clients[-1]

    def pod(self, namespace: str, name: str) -> str:
        """A pod that no scheduler cares for; its UID."""
        container = {
            "name": "main",
            "image": "localhost/none",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        spec = {
            "schedulerName": "nobody",
            "containers": [container],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self.cluster.apply(pod, namespace=namespace)
        uid: str = self.cluster.kubectl_json("get", "pod", name, f"--namespace={namespace}")["metadata"]["uid"]
        return uid

    def token(self, namespace: str, *, pod: str = "", audience: str = TOKEN_AUDIENCE, account: str = "default") -> str:
        """As the kubelet asks for it (TokenRequest), bound to a pod when one is named."""
        bound = ["--bound-object-kind=Pod", f"--bound-object-name={pod}"] if pod else []
        arguments = [account, f"--namespace={namespace}", f"--audience={audience}", *bound]
        return self.cluster.kubectl("create", "token", *arguments).strip()

    def run(self, namespace: str) -> Fence:
        """A run in that namespace whose first attempt was minted."""
        run_id = secrets.token_hex(8)
        run = self.store.create_run(NewRun(id=run_id, namespace=namespace, name="job"))
        outcome = self.store.mint(run_id, Expected.of(run), secrets.token_hex(16))
        assert isinstance(outcome, Changed)
        return outcome.run.fence

    def bind(self, fence: Fence, pod: str, uid: str) -> None:
        outcome = self.store.bind_pod(fence.run_id, fence.attempt, fence.nonce, pod_name=pod, pod_uid=uid)
        assert isinstance(outcome, Changed)


CONTROLLER = "resumable-test-controller"
BEGINNING = Beginning(process_id="process")


@pytest.fixture
def service(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Service]:
    host, port = _api_server(cluster)
    relay = Relay(host, port)
    store = SqlStore(f"sqlite:///{tmp_path}/state.db")
    made = Service(cluster, "", store, relay, tmp_path)

    @asynccontextmanager
    async def connect() -> AsyncIterator[Authenticator]:
        configuration = await load_configuration(str(cluster.kubeconfig))
        configuration.host = f"https://127.0.0.1:{relay.port}"
        configuration.tls_server_name = "kubernetes"  # the relay's address is not in the server's certificate
        async with ApiClient(configuration) as client:
            yield TokenReviewAuthenticator(AuthenticationV1Api(client), TOKEN_AUDIENCE, now=made.now)

    with running_service(store, authenticator=connect, controller=ServiceAccount(namespace, CONTROLLER)) as made.url:
        yield made
        for client in made.clients:
            client.close()
    relay.cut()
    store.close()


def expired(token: str) -> str:
    """The same token, signed by the same key, from yesterday."""
    header, claims, _ = token.split(".")
    yesterday = {
        name: value - 86_400 if name in ("exp", "iat", "nbf") else value for name, value in _part(claims).items()
    }
    signed = f"{header}.{_base64(json.dumps(yesterday).encode())}"
    key = load_pem_private_key((paths.RUN / "pki" / "service-accounts.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _part(text: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _api_server(cluster: Cluster) -> tuple[str, int]:
    server: str = cluster.kubectl_json("config", "view", "--minify")["clusters"][0]["cluster"]["server"]
    host, _, port = server.removeprefix("https://").partition(":")
    return host, int(port)


def test_a_pods_token_opens_its_own_run_only(service: Service, namespace: str) -> None:
    mine, other = service.run(namespace), service.run(namespace)
    service.bind(mine, "mine", service.pod(namespace, "mine"))
    service.bind(other, "other", service.pod(namespace, "other"))
    worker = service.client(service.token(namespace, pod="mine"))

    with pytest.raises(StoreRefused, match="not the pod of this run's attempt"):
        worker.begin(other, BEGINNING)
    assert isinstance(worker.begin(mine, BEGINNING), Begun)
    assert worker.finish_step(mine, Write("write", 1), FinishedStep(name="step")) == Stored()
    with pytest.raises(StoreRefused, match="not the pod of this run's attempt"):
        worker.finish_step(other, Write("write", 1), FinishedStep(name="step"))
    with pytest.raises(StoreRefused, match="not the controller's"):
        worker.list_steps(mine.run_id)
    assert service.store.list_steps(other.run_id) == ()


def test_a_pod_of_another_namespace_and_the_same_account_name_is_refused(service: Service, namespace: str) -> None:
    with service.cluster.namespace("elsewhere") as elsewhere:
        fence = service.run(namespace)
        service.bind(fence, "worker", service.pod(elsewhere, "worker"))  # even with its UID bound
        with pytest.raises(StoreRefused, match="not the pod of this run's attempt"):
            service.client(service.token(elsewhere, pod="worker")).begin(fence, BEGINNING)


def test_a_pod_with_the_name_of_the_bound_one_is_another_pod(service: Service, namespace: str) -> None:
    fence = service.run(namespace)
    service.bind(fence, "worker", service.pod(namespace, "worker"))
    service.cluster.kubectl("delete", "pod", "worker", f"--namespace={namespace}", "--grace-period=0", "--force")
    service.pod(namespace, "worker")

    with pytest.raises(StoreRefused, match="not the pod of this run's attempt"):
        service.client(service.token(namespace, pod="worker")).begin(fence, BEGINNING)


def test_a_pod_that_was_not_bound_yet_asks_again(service: Service, namespace: str) -> None:
    fence = service.run(namespace)
    uid = service.pod(namespace, "worker")
    worker = service.client(service.token(namespace, pod="worker"))

    assert worker.begin(fence, BEGINNING) == NotBound(1)
    service.bind(fence, "worker", uid)
    assert isinstance(worker.begin(fence, BEGINNING), Begun)


def test_only_the_controllers_account_reads(service: Service, namespace: str) -> None:
    service.cluster.kubectl("create", "serviceaccount", CONTROLLER, f"--namespace={namespace}")
    service.run(namespace)

    assert len(service.client(service.token(namespace, account=CONTROLLER)).list_runs()) == 1
    with pytest.raises(StoreRefused, match=f"ServiceAccount {namespace}/default is not the controller's"):
        service.client(service.token(namespace)).list_runs()


def test_tokens_for_others_forged_expired_and_dead_ones_are_away(service: Service, namespace: str) -> None:
    fence = service.run(namespace)
    service.bind(fence, "worker", service.pod(namespace, "worker"))
    good = service.token(namespace, pod="worker")
    for_the_api_server = service.token(namespace, pod="worker", audience="https://kubernetes.default.svc.cluster.local")
    header, claims, signature = good.split(".")
    forged = f"{header}.{claims}.{signature[:-6]}AAAAAA"

    for token in (for_the_api_server, forged, "not.a.token", "nothing"):
        with pytest.raises(StoreUnavailable, match="401"):
            service.client(token).begin(fence, BEGINNING)

    with pytest.raises(StoreUnavailable, match=r"401.*expired"):
        service.client(expired(good)).begin(fence, BEGINNING)
    service.cluster.kubectl("delete", "pod", "worker", f"--namespace={namespace}", "--grace-period=0", "--force")
    with pytest.raises(StoreUnavailable, match="401"):
        service.client(good).begin(fence, BEGINNING)


def test_a_known_token_outlasts_an_api_server_that_is_away_but_not_its_own_end(
    service: Service, namespace: str
) -> None:
    fence = service.run(namespace)
    service.bind(fence, "worker", service.pod(namespace, "worker"))
    worker = service.client(service.token(namespace, pod="worker"))
    another_token = service.client(service.token(namespace, pod="worker"))
    assert isinstance(worker.begin(fence, BEGINNING), Begun)

    service.relay.cut()

    assert worker.heartbeat(fence) == Stored()
    with pytest.raises(StoreUnavailable, match=r"503.*TokenReview"):
        another_token.heartbeat(fence)
    service.ahead = REMEMBER_FOR.total_seconds() + 1
    with pytest.raises(StoreUnavailable, match=r"503.*TokenReview"):
        worker.heartbeat(fence)
