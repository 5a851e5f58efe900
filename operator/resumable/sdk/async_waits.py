"""`wait`, `sleep` and `sleep_until` of an async job: the phases of `waits`, awaited."""

from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from resumable.sdk.step_options import StepOptions
from resumable.sdk.wait_run import DEFAULT_HOLD, Received, SignalWait, Timer, Wait

if TYPE_CHECKING:
    from resumable.sdk.async_scope import AsyncScope

T = TypeVar("T")


class AsyncWaits:
    """As `Waits`. While other steps of the job run the process stays, and a wait goes on in it."""

    _scope: "AsyncScope"
    _said: StepOptions

    @overload
    async def wait(
        self, name: str, kind: type[T], /, *, timeout: str | timedelta | None = None, hold: str | timedelta = ...
    ) -> Received[T]: ...

    @overload
    async def wait(
        self, name: str, /, *, timeout: str | timedelta | None = None, hold: str | timedelta = ...
    ) -> Received[Any]: ...

    def wait(
        self,
        name: str,
        kind: Any = Any,
        /,
        *,
        timeout: str | timedelta | None = None,
        hold: str | timedelta = DEFAULT_HOLD,
    ) -> Coroutine[Any, Any, Received[Any]]:
        """The next signal of this name, its payload converted to `kind`.

        ```python
        answer = await j.wait("approval", Approval, timeout="3d")
        ```

        A signal may come before the wait: it is kept until one takes it, the oldest first. In a loop each wait needs a
        key, `j.options(key=n).wait(…)`; it is the name that says which signals it takes. A payload that does not fit
        `kind` is said in the log and left where it is, and the wait goes on.

        After `hold` in the process, and when no other step runs, the process ends (exit code 76); the next one is
        started when a signal comes or the time is up. Raises `WaitTimeout` when none came within `timeout` of its
        first start.
        """
        wait = SignalWait(self._scope.steps.attempt, self._said, name, kind, timeout=timeout, hold=hold)
        return self._wait_for(wait)

    def sleep(
        self, name: str, length: str | timedelta, /, *, hold: str | timedelta = DEFAULT_HOLD
    ) -> Coroutine[Any, Any, None]:
        """Go on so much later, counted from when this was first met: `await j.sleep("cool-down", "1h")`.

        Sleep that is longer than `hold` needs no process: when no other step runs it ends (exit code 76), and the next
        one is started in time.
        """
        return self._wait_for(Timer(self._scope.steps.attempt, self._said, name, length, hold=hold))

    def sleep_until(
        self, name: str, moment: datetime, /, *, hold: str | timedelta = DEFAULT_HOLD
    ) -> Coroutine[Any, Any, None]:
        """Go on at a moment, by the store's clock: `await j.sleep_until("midnight", datetime(2027, 1, 1, tzinfo=UTC))`.

        As `sleep`. The moment that counts is the one that was given first.
        """
        return self._wait_for(Timer(self._scope.steps.attempt, self._said, name, moment, hold=hold))

    def _wait_for(self, wait: Wait) -> Coroutine[Any, Any, Any]:
        scope = self._scope
        begun = False

        async def go_on(_: object) -> Any:
            nonlocal begun
            if not begun:
                await scope.write_alone(wait.begin)
                begun = True
            while (found := await scope.write_alone(wait.look)) is None:
                seconds = wait.patience()
                if seconds is None:
                    raise wait.waiting()
                await scope.leaving.sleep(seconds)
            return found.value

        return scope.call(wait.name, wait.enter, go_on)
