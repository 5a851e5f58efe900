"""Waiting for somebody, and for a moment, without keeping a process for it.

```python
answer = j.wait("approval", Approval, timeout="3d")   # Received[Approval]: payload, sender, sent, id
j.sleep("cool-down", "1h")
```

A wait is a step: its start fixes its deadline, by the store's clock, and its end is stored together with the signal
that it takes. Up to `hold` it waits in the process. After that the run is ended as `Waiting`, on the condition that no
signal has come which this process does not know of; a signal, or the deadline, starts the next attempt.
"""

from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import StepScope
from resumable.sdk.wait_run import DEFAULT_HOLD, Received, SignalWait, Timer, Wait

T = TypeVar("T")


class Waits:
    """`wait`, `sleep` and `sleep_until` of a plain job."""

    _scope: StepScope
    _said: StepOptions

    @overload
    def wait(
        self, name: str, kind: type[T], /, *, timeout: str | timedelta | None = None, hold: str | timedelta = ...
    ) -> Received[T]: ...

    @overload
    def wait(
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
    ) -> Received[Any]:
        """The next signal of this name, its payload converted to `kind`.

        ```python
        answer = j.wait("approval", Approval, timeout="3d")
        if answer.payload.granted:
            log.info("approved by %s", answer.sender)
        ```

        A signal may come before the wait: it is kept until one takes it, the oldest first. In a loop each wait needs a
        key, `j.options(key=n).wait(…)`; it is the name that says which signals it takes. A payload that does not fit
        `kind` is said in the log and left where it is, and the wait goes on.

        After `hold` in the process the process ends (exit code 76) and the next one is started when a signal comes or
        the time is up. Raises `WaitTimeout` when none came within `timeout` of the wait's first start.
        """
        wait = SignalWait(self._scope.attempt, self._said, name, kind, timeout=timeout, hold=hold)
        received: Received[Any] = self._wait_for(wait)
        return received

    def sleep(self, name: str, length: str | timedelta, /, *, hold: str | timedelta = DEFAULT_HOLD) -> None:
        """Go on so much later, counted from when this was first met: `j.sleep("cool-down", "1h")`.

        Sleep that is longer than `hold` needs no process: it ends (exit code 76), and the next one is started in time.
        """
        self._wait_for(Timer(self._scope.attempt, self._said, name, length, hold=hold))

    def sleep_until(self, name: str, moment: datetime, /, *, hold: str | timedelta = DEFAULT_HOLD) -> None:
        """Go on at a moment, by the store's clock: `j.sleep_until("midnight", datetime(2027, 1, 1, tzinfo=UTC))`.

        As `sleep`. The moment that counts is the one that was given first.
        """
        self._wait_for(Timer(self._scope.attempt, self._said, name, moment, hold=hold))

    def _wait_for(self, wait: Wait) -> Any:
        if (replayed := wait.enter()) is not None:
            return replayed.value
        wait.begin()
        while (found := wait.look()) is None:
            seconds = wait.patience()
            if seconds is None:
                wait.leave()
            else:
                self._scope.attempt.interruption.wait(seconds)
        return found.value
