"""Which version of the schema a database has, and bringing it to the newest one.

Versions are Alembic revisions named by number ("0001"), so that an older program can tell that a database is newer than
itself.
"""

import threading

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from resumable.state.outcome import StoreRefused
from resumable.state.sql.database import Database

# The newest revision in `migrations/versions`. Kept here so that opening a database that has it imports no Alembic.
SCHEMA_VERSION = "0002"

# Alembic's context belongs to the process: two databases can't be migrated by two threads.
_alembic = threading.Lock()

schema_version = Table("schema_version", MetaData(), Column("version_num", String(32)))


def current_version(connection: Connection) -> str:
    """The database's schema version; "" when it has no schema yet."""
    if not inspect(connection).has_table(schema_version.name):
        return ""
    return connection.execute(select(schema_version.c.version_num)).scalar() or ""


def check(database: Database) -> None:
    """Raise `StoreRefused` unless the schema is the one that this program knows."""
    with database.reading() as connection:
        found = current_version(connection)
    _refuse_newer(database, found)
    if found != SCHEMA_VERSION:
        state = f"has schema {found}, this program needs {SCHEMA_VERSION}" if found else "has no schema yet"
        raise StoreRefused(
            f"{database.address} {state}: the state service migrates when it starts; start it, or call"
            " SqlStore.migrate()"
        )


def migrate(database: Database) -> None:
    """Bring the schema to the newest version.

    Safe when several start at once: one migrates, the others wait and find it done.
    """
    with database.reading() as connection:
        found = current_version(connection)
    if found != SCHEMA_VERSION:
        with database.migrating() as connection:
            found = current_version(connection)  # again: another may have been faster
            if found < SCHEMA_VERSION:
                _upgrade(connection)
    _refuse_newer(database, found)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "resumable.state.sql:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _alembic:
        command.upgrade(config, "head")


def _refuse_newer(database: Database, found: str) -> None:
    if found > SCHEMA_VERSION:
        raise StoreRefused(
            f"{database.address} has schema {found}, newer than this program's ({SCHEMA_VERSION}): it was migrated by a"
            " newer version of resumable-jobs; use that version or a newer one"
        )
