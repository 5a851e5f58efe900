"""Stopping a MariaDB transaction in the middle, so that a race has one outcome every time."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy.engine import make_url

from tests.servers.mariadb import MariaDBServer


class Gate:
    """Inserts into a table wait at it, inside their transaction, until it is opened."""

    def __init__(self, server: MariaDBServer, database: str, holder: Any) -> None:
        self._server = server
        self._database = database
        self._holder = holder

    def wait_for(self, waiting: int) -> None:
        """Until so many of the database's sessions wait: at the gate, or for a lock of one that does."""
        query = f"""SELECT count(*) FROM information_schema.processlist p
            LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id
            WHERE p.db = '{self._database}' AND (p.state = 'User lock' OR t.trx_state = 'LOCK WAIT')"""
        deadline = time.monotonic() + 20
        while True:
            [[found]] = self._server.execute(query)
            if found == waiting:
                return
            assert time.monotonic() < deadline, f"{waiting} sessions should wait for a lock, {found} do"
            time.sleep(0.15)  # innodb_trx is a cache that is refreshed when nobody read it for 0.1 s

    def open(self) -> None:
        with self._holder.cursor() as cursor:
            cursor.execute("SELECT RELEASE_ALL_LOCKS()")


@contextmanager
def gate_before(table: str, url: str, server: MariaDBServer) -> Iterator[Gate]:
    database = make_url(url).database or ""
    with closing(server.connect(database)) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT GET_LOCK('{database}', 10)")
        cursor.execute(
            f"""CREATE TRIGGER gate BEFORE INSERT ON `{table}` FOR EACH ROW
            BEGIN DECLARE ignored INT; SET ignored = GET_LOCK('{database}', 20) + RELEASE_LOCK('{database}'); END"""
        )
        gate = Gate(server, database, holder)
        try:
            yield gate
        finally:
            gate.open()
            cursor.execute("DROP TRIGGER gate")
