"""What differs between SQL engines, as one interface: `sqlite`, `postgresql` and `mariadb` implement it.

Three kinds of transaction: `writing` locks before it reads, `reading` sees one snapshot, and `write_step` is the hot
path, made once per fresh step: its statements are compiled once and go to the driver directly.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, Engine, Select, Table
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from resumable.state.outcome import StoreRefused, StoreUnavailable, WriteOutcome
from resumable.state.sql.step_write import StepWrite

Parameters: TypeAlias = Mapping[str, Any]
Judge: TypeAlias = Callable[[tuple[Any, ...] | None], WriteOutcome]


class GuardedStatement(NamedTuple):
    """A worker's write to a step, made ready: the arguments of `Database.write_step`."""

    shape: StepWrite
    parameters: Parameters
    judge: Judge


class NotBegun(StoreUnavailable):
    """The transaction could not even begin: the same for everything that would have been in it."""


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether an acknowledged write outlives a power cut, and why we think so."""

    durable: bool
    why: str


class Database(ABC):
    """One database, with its connections."""

    engine: Engine
    embedded: bool  # a file or memory of this process's: migrated when it is opened
    writes_groups: bool = False  # `write_steps` does many writes faster than `write_step` does each

    @abstractmethod
    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that will write. Raises `StoreUnavailable` or `StoreRefused`, not the driver's errors."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """A read-only transaction in which all reads see the same moment."""

    @abstractmethod
    def migrating(self) -> AbstractContextManager[Connection]:
        """A transaction of which there is only one at a time, in all processes."""

    @abstractmethod
    def lock_row(self, select: Select[Any]) -> Select[Any]:
        """`select`, locking its rows against the guarded writes and against each other until the transaction ends."""

    @abstractmethod
    def insert_if_absent(self, connection: Connection, table: Table, values: dict[str, Any]) -> bool:
        """Insert a row unless one with its primary key is there; whether it was inserted."""

    @abstractmethod
    def now(self, connection: Connection) -> int:
        """The store's clock, in milliseconds since 1970."""

    @abstractmethod
    def write_step(self, write: StepWrite, parameters: Parameters, judge: Judge) -> WriteOutcome:
        """Do a guarded write in one durable commit.

        `judge` gives a refused one its name, from the row of `StepWrite.guard`.
        """

    def write_steps(self, group: Sequence[GuardedStatement]) -> list[WriteOutcome]:
        """Do several guarded writes, in this order, in one durable commit or not at all.

        Raises what `write_step` raises, and `NotBegun`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not write groups")

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Around what begins a group's transaction: an error there is no write's fault."""
        try:
            with self.named_errors():
                yield
        except StoreUnavailable as error:
            raise NotBegun(str(error)) from error

    @contextmanager
    def driver(self) -> Iterator[Any]:
        """The driver's connection. When it breaks, the pool's others are not trusted either."""
        pooled = self.engine.raw_connection()
        try:
            yield pooled.driver_connection
        except BaseException as error:
            if self.is_broken(pooled.driver_connection, error):
                pooled.invalidate()
                self.engine.dispose()
            raise
        finally:
            pooled.close()  # rolls back what was not committed

    def is_broken(self, driver: Any, error: BaseException) -> bool:  # noqa: ARG002
        """Whether the driver's connection has been lost, or has become of no use."""
        return False

    @abstractmethod
    def grade(self, connection: Connection) -> Grade:
        """How durable this database is, as it is configured."""

    @abstractmethod
    def refusal(self, error: BaseException) -> str:
        """Why the driver's error will come again whenever this is tried, or "" when trying again may help."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    @property
    def address(self) -> str:
        """Which database this is, for messages: without a password."""
        url = self.engine.url.difference_update_query(["password", "sslpassword"])
        return url.render_as_string(hide_password=True)

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Errors of SQLAlchemy and of the driver under the two names that a store's callers know."""
        try:
            yield
        except (DBAPIError, StatementError) as error:
            raise self.store_error(error.orig or error) from error
        except PoolTimeout as error:
            raise StoreUnavailable(f"{self.address}: all connections are in use; try again") from error
        except self.driver_errors as error:
            raise self.store_error(error) from error
        except (OverflowError, UnicodeEncodeError) as error:  # drivers raise these bare
            raise StoreRefused(f"{self.address}: a value can't be stored: {error}") from error

    @property
    @abstractmethod
    def driver_errors(self) -> tuple[type[BaseException], ...]:
        """The base of the errors that the driver raises."""

    def store_error(self, error: BaseException) -> StoreUnavailable | StoreRefused:
        """The driver's error as a store's."""
        said = " ".join(str(error).split())
        if why := self.refusal(error):
            return StoreRefused(f"{self.address}: {why}: {said}")
        return StoreUnavailable(f"{self.address}: {said}; try again")


def open_database(url: str) -> Database:
    """The database of a URL: `sqlite:////absolute/path`, `sqlite://` (in memory), `postgresql://user@host/name`,
    `mysql://user@host/name` or `mariadb://…`.

    Connects to nothing. Raises `StoreRefused` for a URL of another kind.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        from resumable.state.sql.sqlite import SQLite

        return SQLite(url)
    if scheme in ("postgresql", "postgres"):
        from resumable.state.sql.postgresql import PostgreSQL

        return PostgreSQL(url)
    if scheme in ("mysql", "mariadb"):
        from resumable.state.sql.mariadb import MariaDB

        return MariaDB(url)
    raise StoreRefused(f"a SQL store's URL begins with sqlite:, postgresql:, mysql: or mariadb:, not {scheme}:")
