"""What `@job(version=…, on_version_mismatch=…)` says about going on with steps that another version of the code stored.

`resume` (the default) goes on and says so in the log. `pause` ends the attempt and leaves the decision to a person:
whoever unpauses the run accepts the version that it was paused with. `fail` ends the run. A version that is "" is not
compared: its author doesn't number the code.
"""

import logging
from typing import Literal, TypeAlias, get_args

from resumable.sdk.errors import JobDefinitionError
from resumable.state.record import RunStatus
from resumable.state.store import RunEnd

log = logging.getLogger("resumable")

OnVersionMismatch: TypeAlias = Literal["resume", "pause", "fail"]

VERSION_MISMATCH = "VersionMismatch"


def check_policy(job: str, policy: str) -> None:
    """Raises `JobDefinitionError` unless it is one of the policies."""
    if policy not in get_args(OnVersionMismatch):
        allowed = ", ".join(map(repr, get_args(OnVersionMismatch)))
        raise JobDefinitionError(f"job {job!r}: on_version_mismatch is one of {allowed}, not {policy!r:.80}")


def end_on_mismatch(policy: OnVersionMismatch, *, before: str, now: str) -> RunEnd | None:
    """How to end the run instead of going on; None: go on."""
    if not before or not now or before == now:
        return None
    what = f"its steps were stored by version {before} of the code, and this is version {now}"
    match policy:
        case "resume":
            log.warning("drift: %s; it goes on, by the names of its steps", what)
            return None
        case "pause":
            message = f"{what}; unpause it to go on with this version, or go back to version {before}"
            return RunEnd(status=RunStatus.PAUSED, reason=VERSION_MISMATCH, message=message)
        case "fail":
            message = f"{what} (on_version_mismatch='fail')"
            return RunEnd(status=RunStatus.FAILED, reason=VERSION_MISMATCH, message=message, error=message)
