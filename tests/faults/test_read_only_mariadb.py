"""A MariaDB that only reads, as a replica does after a failover: it is away, not broken, and its sessions are left."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from resumable.state.outcome import Stored, StoreUnavailable
from resumable.state.sql.store import SqlStore
from tests.contract.runs import started
from tests.servers.mariadb import MariaDBServer, mariadb


@pytest.fixture
def server() -> Iterator[MariaDBServer]:
    with mariadb() as running:
        yield running


def session(store: SqlStore) -> int:
    """Which of the server's sessions the pool's first connection is."""
    with store.database.reading() as connection:
        number: int = connection.execute(text("SELECT connection_id()")).scalar_one()
        return number


def test_writes_wait_and_sessions_are_replaced(server: MariaDBServer) -> None:
    administrator = make_url(server.new_database())
    # An application's user: one that may do everything may also write to a server that only reads.
    for statement in (
        "CREATE USER application@localhost",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {administrator.database}.* TO application@localhost",
    ):
        server.execute(statement)
    with closing(SqlStore(administrator.render_as_string())) as owner:
        owner.migrate()
    with closing(SqlStore(administrator.set(username="application").render_as_string())) as store:
        worker = started(store)
        write = worker.write()
        server.execute("SET GLOBAL read_only = ON")
        for call in (
            lambda: worker.finish("a", write=write),
            lambda: store.request_stop(worker.fence.run_id, 1, "Suspended"),
        ):
            before = session(store)
            with pytest.raises(StoreUnavailable, match=r"read-only option.*; try again"):
                call()
            assert session(store) != before, "the address may lead to another server by now"

        server.execute("SET GLOBAL read_only = OFF")
        assert worker.finish("a", write=write) == Stored()
