"""`transaction` of an async job: in a thread, with an SQLAlchemy engine or session that isn't async."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from resumable.sdk.errors import InvalidStep
from resumable.sdk.step_function import is_async
from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import StepRun
from resumable.sdk.transaction import in_transaction

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session

    from resumable.sdk.async_scope import AsyncScope

P = ParamSpec("P")
R = TypeVar("R")


class AsyncRunsTransactions:
    """As `RunsTransactions`, awaited."""

    _scope: "AsyncScope"
    _said: StepOptions

    @overload
    async def transaction(
        self,
        name: str,
        database: "Engine",
        fn: "Callable[Concatenate[Connection, P], R]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...

    @overload
    async def transaction(
        self,
        name: str,
        database: "Session",
        fn: "Callable[Concatenate[Session, P], R]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...

    def transaction(
        self, name: str, database: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, Any]:
        """A step in one transaction of your own database: what it writes there is committed exactly once.

        ```python
        def debit(connection: Connection, account: int, amount: int) -> int:
            connection.execute(update(accounts).where(accounts.c.id == account).values(…))
            return amount

        await j.transaction("debit", engine, debit, 7, 100)
        ```

        `database` is an SQLAlchemy `Engine`, and `fn` gets a `Connection`; or a `Session` that has no transaction yet,
        and `fn` gets that. Both are the plain ones, and so is `fn`: it runs in a thread. The function returns: the
        transaction is committed, with the step's result in the table `resumable_step` (made where it is missing). It
        raises: all of it is rolled back, and the step has failed. The function does not commit itself. Options hold as
        for `step`, and it raises what `step` raises.
        """
        if is_async(fn):
            raise InvalidStep(
                f"step {name!r}: transaction() runs a plain function, in a thread, not an async def: {fn!r:.80}"
            )
        steps = self._scope.steps
        call = in_transaction(steps.attempt, self._said, name, database, fn)
        return self._scope.step(StepRun(steps, self._said, name, fn), call, args, kwargs)
