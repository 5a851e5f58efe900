"""Lanes on each store: its server, the proxies before it, the zygotes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from resumable.state.open import open_store
from resumable.state.sql.store import SqlStore
from tests.crash.controller import Lane
from tests.crash.launcher import Launcher
from tests.crash.patient_store import PatientStore
from tests.crash.wire import CuttingProxy
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import USER, PostgreSQLServer
from tests.servers.redis import RedisServer
from tests.servers.state_service import ServiceProcess


@dataclass(frozen=True)
class Surroundings:
    """What a store may need to come into being."""

    folder: Path
    postgresql: Callable[[], PostgreSQLServer]
    mariadb: Callable[[], MariaDBServer]
    redis: Callable[[], RedisServer]


@contextmanager
def sqlite(around: Surroundings, lanes: int) -> Iterator[list[Lane]]:
    """A file for each lane. No wire."""
    with ExitStack() as stack:
        folders = [around.folder / f"lane-{n}" for n in range(lanes)]
        yield [_lane(stack, folder, lambda folder: f"sqlite:///{folder}/runs.db") for folder in folders]


@contextmanager
def postgresql(around: Surroundings, lanes: int) -> Iterator[list[Lane]]:
    """One database for all lanes."""
    server = around.postgresql()
    name = server.new_database().partition("?")[0].rpartition("/")[2]
    with _served(
        around, lanes, server.url(name), server.port, lambda port: f"postgresql://{USER}@127.0.0.1:{port}/{name}"
    ) as opened:
        yield opened


@contextmanager
def mariadb(around: Surroundings, lanes: int) -> Iterator[list[Lane]]:
    """One database for all lanes."""
    server = around.mariadb()
    url = server.new_database()
    name = url.partition("?")[0].rpartition("/")[2]
    with _served(around, lanes, url, server.port, lambda port: server.url(name, port=port)) as opened:
        yield opened


@contextmanager
def redis(around: Surroundings, lanes: int) -> Iterator[list[Lane]]:
    """One database for all lanes."""
    server = around.redis()
    with _served(around, lanes, server.url(), server.port, lambda port: server.url(port=port)) as opened:
        yield opened


@contextmanager
def http(around: Surroundings, lanes: int) -> Iterator[list[Lane]]:
    """The state service over SQLite, as a process."""
    folder = around.folder
    folder.mkdir(parents=True, exist_ok=True)
    service = ServiceProcess(f"sqlite:///{folder}/service.db", folder / "service.log")
    try:
        service.wait_until_ready()
        with _served(around, lanes, service.url, service.port, lambda port: f"http://127.0.0.1:{port}") as opened:
            yield opened
    finally:
        service.kill()


@contextmanager
def _served(
    around: Surroundings, lanes: int, url: str, port: int, through: Callable[[int], str]
) -> Iterator[list[Lane]]:
    with ExitStack() as stack:
        opened = []
        for n in range(lanes):
            folder = around.folder / f"lane-{n}"
            folder.mkdir(parents=True)
            proxy = stack.enter_context(closing(CuttingProxy(("127.0.0.1", port), folder / "control")))
            opened.append(_lane(stack, folder, lambda _: url, through(proxy.port), proxy))
        yield opened


def _lane(
    stack: ExitStack, folder: Path, url: Callable[[Path], str], for_workers: str = "", proxy: CuttingProxy | None = None
) -> Lane:
    folder.mkdir(parents=True, exist_ok=True)
    store = stack.enter_context(closing(open_store(url(folder))))
    if isinstance(store, SqlStore):
        store.migrate()
    launcher = stack.enter_context(closing(Launcher(folder)))
    return Lane(PatientStore(store), for_workers or url(folder), launcher, folder, proxy)


STORES: dict[str, Callable[[Surroundings, int], AbstractContextManager[list[Lane]]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mariadb": mariadb,
    "redis": redis,
    "http": http,
}
