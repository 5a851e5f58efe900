"""The two tables in the author's own database, and the statements on them. Loaded when a transaction is first used.

Each row is written in the same transaction as the author's rows: either both are there, or neither. The restart
generation is in the key, so that a step that a person lets run again is committed again.
"""

import secrets
import threading
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects.mysql import LONGBLOB, VARCHAR
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import ColumnElement

from resumable.sdk.errors import InvalidStep
from resumable.state.record import Encoded

# As the record tells them apart: by their bytes. MySQL's default would take "a" and "A" for one.
_TEXT = String(255).with_variant(VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
_BYTES = LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb")

_metadata = MetaData()

STEPS = Table(
    "resumable_step",
    _metadata,
    Column("run_id", _TEXT, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("name", _TEXT, primary_key=True),
    Column("key", _TEXT, primary_key=True),
    Column("codec", String(32), nullable=False),
    Column("result", _BYTES),
    Column("finished", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

CURSORS = Table(
    "resumable_cursor",
    _metadata,
    Column("run_id", _TEXT, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("name", _TEXT, primary_key=True),
    Column("key", _TEXT, primary_key=True),
    Column("codec", String(32), nullable=False),
    Column("value", _BYTES),
    Column("attempt", Integer, nullable=False),  # the newest that has written
    Column("sequence", Integer, nullable=False),  # grows with each committed batch
)

_DEADLOCK = 1213  # ER_LOCK_DEADLOCK of MariaDB and MySQL

_made: "WeakSet[Engine]" = WeakSet()
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class StepIdentity:
    """Which step of which run, within one restart generation."""

    run_id: str
    generation: int
    name: str
    key: str

    def values(self) -> dict[str, object]:
        """By column."""
        return {"run_id": self.run_id, "generation": self.generation, "name": self.name, "key": self.key}

    def of(self, table: Table) -> ColumnElement[bool]:
        """Its row."""
        return and_(*(table.c[name] == value for name, value in self.values().items()))


@dataclass(frozen=True, slots=True)
class CursorRow:
    """How far the author's database says that a step got."""

    value: Encoded | None
    attempt: int
    sequence: int


def make_tables(engine: Engine) -> None:
    """Make the tables where they are missing. Raises `InvalidStep` when the database does not let us, and for an engine
    without transactions.
    """
    with _making:
        if engine in _made:
            return
        missing = [table for table in (STEPS, CURSORS) if not inspect(engine).has_table(table.name)]
        for table in missing:
            try:
                with engine.begin() as connection:
                    table.create(connection)
            except DBAPIError as error:
                if not inspect(engine).has_table(table.name):  # else another worker was faster
                    statement = str(CreateTable(table).compile(engine)).strip()
                    raise InvalidStep(
                        f"the table {table.name} is missing in {engine.url.render_as_string()} and can't be made"
                        f" ({error.orig}); let somebody who may make it: {statement}"
                    ) from error
        _check_rolls_back(engine)
        _made.add(engine)


def _check_rolls_back(engine: Engine) -> None:
    """Tried, because there are too many ways to end up without transactions: AUTOCOMMIT, MyISAM, a proxy."""
    probe = StepIdentity("", 0, "probe", secrets.token_hex(16))
    with engine.connect() as connection:
        with connection.begin() as transaction:
            claim_step(connection, probe)
            transaction.rollback()
        if stored_result(connection, probe) is None:
            return
    with engine.begin() as connection:
        connection.execute(delete(STEPS).where(probe.of(STEPS)))
    raise InvalidStep(
        f"{engine.url.render_as_string()} did not roll back what was rolled back: an engine is needed that has"
        ' transactions, not one with isolation_level="AUTOCOMMIT"'
    )


# Results


def claim_step(connection: Connection, identity: StepIdentity) -> bool:
    """Insert the step's row, its first lock. That of another transaction that is still open is waited for.

    False: it was committed by another one, or MariaDB chose this one of several that waited for one that was rolled
    back. The transaction has done nothing yet and is over; look, and try again.
    """
    try:
        connection.execute(insert(STEPS).values(**identity.values(), codec=""))
    except IntegrityError:
        return False
    except OperationalError as error:
        if error.orig is not None and error.orig.args[:1] == (_DEADLOCK,):
            return False
        raise
    return True


def store_result(connection: Connection, identity: StepIdentity, result: Encoded) -> None:
    """Write the result into the row that was claimed."""
    connection.execute(update(STEPS).where(identity.of(STEPS)).values(codec=result.codec, result=result.data))


def stored_result(connection: Connection, identity: StepIdentity) -> Encoded | None:
    """What was committed; None: nothing was."""
    row = connection.execute(select(STEPS.c.codec, STEPS.c.result).where(identity.of(STEPS))).first()
    return None if row is None else Encoded(row.codec, row.result or b"")


# Cursors


def read_cursor(connection: Connection, identity: StepIdentity) -> CursorRow | None:
    """What was committed last; None: nothing was."""
    row = connection.execute(select(CURSORS).where(identity.of(CURSORS))).first()
    return None if row is None else _cursor_row(row)


def cursor_before_restart(connection: Connection, identity: StepIdentity) -> CursorRow | None:
    """What an earlier generation committed: a restart that did not forget the step goes on from there."""
    earlier = and_(
        CURSORS.c.run_id == identity.run_id,
        CURSORS.c.name == identity.name,
        CURSORS.c.key == identity.key,
        CURSORS.c.generation < identity.generation,
    )
    row = connection.execute(select(CURSORS).where(earlier).order_by(CURSORS.c.generation.desc()).limit(1)).first()
    return None if row is None else _cursor_row(row)


def insert_cursor(connection: Connection, identity: StepIdentity, row: CursorRow) -> bool:
    """The step's first batch. False: another transaction has inserted it."""
    values = identity.values() | _values(row)
    try:
        connection.execute(insert(CURSORS).values(**values))
    except IntegrityError:
        return False
    return True


def claim_cursor(connection: Connection, identity: StepIdentity, attempt: int, sequence: int) -> bool:
    """Lock the row, if it is as this attempt knows it and no later attempt has written."""
    known = and_(identity.of(CURSORS), CURSORS.c.sequence == sequence, CURSORS.c.attempt <= attempt)
    return connection.execute(update(CURSORS).where(known).values(attempt=attempt)).rowcount == 1


def write_cursor(connection: Connection, identity: StepIdentity, row: CursorRow) -> None:
    """Write the row that was claimed."""
    connection.execute(update(CURSORS).where(identity.of(CURSORS)).values(**_values(row)))


def _cursor_row(row: Row[Any]) -> CursorRow:
    return CursorRow(Encoded(row.codec, row.value) if row.codec else None, row.attempt, row.sequence)


def _values(row: CursorRow) -> dict[str, object]:
    return {
        "codec": row.value.codec if row.value else "",
        "value": row.value.data if row.value else None,
        "attempt": row.attempt,
        "sequence": row.sequence,
    }
