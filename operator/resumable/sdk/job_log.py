"""`j.log`: an author's log lines, which an attempt that only catches up does not repeat."""

import logging
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class JobLog(_Adapter):
    """Quiet while the job is replayed. Its records have `run` and `attempt`, for formatters that write them."""

    def __init__(self, job: str, run_id: str, attempt: int, replaying: Callable[[], bool]) -> None:
        super().__init__(logging.getLogger(f"resumable.job.{job}"), {"run": run_id, "attempt": attempt})
        self._replaying = replaying

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        """Whether a line of this level would be written now."""
        return not self._replaying() and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add ours to the author's own `extra`."""
        return msg, {**kwargs, "extra": {**(self.extra or {}), **(kwargs.get("extra") or {})}}
