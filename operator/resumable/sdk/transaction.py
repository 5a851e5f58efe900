"""A step that is committed together with its effect: exactly once, in the author's own database.

The step's record is a row in the same transaction as the author's rows. Whoever comes to the step again, after a crash
between the commit and our own write, in a retry, or as a worker that was believed dead, meets that row, and takes its
result instead of running the function. Inserting it is the transaction's first statement: two that run at the same
time wait for each other, and the second one runs nothing.

SQLAlchemy is loaded when a transaction is used.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar, overload

from resumable.sdk import codec
from resumable.sdk.attempt import Attempt
from resumable.sdk.errors import InvalidStep
from resumable.sdk.running_step import trying
from resumable.sdk.step_function import shape
from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import StepRun, StepScope

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session

    from resumable.sdk.transaction_tables import StepIdentity

P = ParamSpec("P")
R = TypeVar("R")

_MOST_TRIES = 10  # each means that somebody removed the row between two of our statements, or a deadlock on it


class RunsTransactions:
    """`transaction`, for whoever can carry on with a step."""

    _scope: StepScope
    _said: StepOptions

    def _drive(self, run: StepRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a step to its end."""
        raise NotImplementedError

    @overload
    def transaction(
        self,
        name: str,
        database: "Engine",
        fn: "Callable[Concatenate[Connection, P], R]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...

    @overload
    def transaction(
        self,
        name: str,
        database: "Session",
        fn: "Callable[Concatenate[Session, P], R]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...

    def transaction(self, name: str, database: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """A step in one transaction of your own database: what it writes there is committed exactly once.

        ```python
        def debit(connection: Connection, account: int, amount: int) -> int:
            connection.execute(update(accounts).where(accounts.c.id == account).values(…))
            return amount

        j.transaction("debit", engine, debit, 7, 100)
        ```

        `database` is an SQLAlchemy `Engine`, and `fn` gets a `Connection`; or a `Session` that has no transaction yet,
        and `fn` gets that. The function returns: the transaction is committed, with the step's result in the table
        `resumable_step` (made where it is missing). It raises: all of it is rolled back, and the step has failed. The
        function does not commit itself. Options hold as for `step`, and it raises what `step` raises.
        """
        call = in_transaction(self._scope.attempt, self._said, name, database, fn)
        return self._drive(StepRun(self._scope, self._said, name, fn), call, args, kwargs)


def in_transaction(
    attempt: Attempt, options: StepOptions, name: str, database: Any, fn: Callable[..., Any]
) -> Callable[..., Any]:
    """The function as it is called in place of the author's."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return _once(attempt, options, name, database, fn, args, kwargs)

    return call


def identity_of(attempt: Attempt, name: str, key: str) -> "StepIdentity":
    """The step's key in the author's database."""
    from resumable.sdk.transaction_tables import StepIdentity

    return StepIdentity(attempt.run.id, attempt.run.generation, name, key)


def _once(
    attempt: Attempt,
    options: StepOptions,
    name: str,
    database: Any,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    from resumable.sdk import transaction_tables as tables

    of = f"step {name!r}: the result"
    result_type = shape(fn).result
    identity = identity_of(attempt, name, options.key)

    def run(connection: "Connection", first: Any) -> tuple[bool, Any]:
        """Within the transaction. False: it was committed before."""
        if not tables.claim_step(connection, identity):
            return False, None
        result = fn(first, *args, **kwargs)
        encoded = codec.encode(
            result,
            result_type,
            of=of,
            limit=options.max_result_bytes,
            limit_name="max_result_bytes=",
            pickled=options.pickled,
        )
        attempt.interruption.raise_if_left()
        attempt.check_in_time(trying.get())
        tables.store_result(connection, identity, encoded)
        return True, result

    engine, run_in = _opened(name, database)
    tables.make_tables(engine)
    for _ in range(_MOST_TRIES):
        ran, result = run_in(run)
        if ran:
            return result
        with engine.connect() as connection:
            stored = tables.stored_result(connection, identity)
        if stored is not None:
            return codec.decode(stored, result_type, of=of, pickled=options.pickled)
    raise RuntimeError(f"step {name!r}: its row in {tables.STEPS.name} appears and disappears: who removes it?")


_Run: TypeAlias = "Callable[[Connection, Any], tuple[bool, Any]]"


def _opened(name: str, database: Any) -> "tuple[Engine, Callable[[_Run], tuple[bool, Any]]]":
    """The engine, and how something is run in one transaction of it."""
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    if isinstance(database, Engine):
        return database, partial(_in_connection, database)
    if not isinstance(database, Session):
        raise InvalidStep(
            f"step {name!r}: transaction() takes an SQLAlchemy Engine or Session, both not async, not a"
            f" {type(database).__module__}.{type(database).__qualname__}"
        )
    if database.in_transaction():
        raise InvalidStep(
            f"step {name!r}: the session has a transaction that began before the step: commit that first, or give a"
            " session of its own"
        )
    return database.get_bind().engine, partial(_in_session, database)


def _in_connection(engine: "Engine", run: _Run) -> tuple[bool, Any]:
    with engine.connect() as connection, connection.begin() as transaction:
        ran, result = run(connection, connection)
        if not ran:
            transaction.rollback()
        return ran, result


def _in_session(session: "Session", run: _Run) -> tuple[bool, Any]:
    with session.begin() as transaction:
        ran, result = run(session.connection(), session)
        if not ran:
            transaction.rollback()
        return ran, result
