"""What the operator tells a worker, in environment variables. One place for their names, on both sides."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from resumable.state.record import Fence

STORE_URL = "RESUMABLE_STORE_URL"
RUN = "RESUMABLE_RUN"
ATTEMPT = "RESUMABLE_ATTEMPT"
NONCE = "RESUMABLE_NONCE"
GRACE_SECONDS = "RESUMABLE_GRACE_SECONDS"
TOKEN_FILE = "RESUMABLE_TOKEN_FILE"
CHECKPOINT_DIR = "RESUMABLE_CHECKPOINT_DIR"
POD_UID = "RESUMABLE_POD_UID"
STORE_TIMEOUT_SECONDS = "RESUMABLE_STORE_TIMEOUT_SECONDS"
SOCKET = "RESUMABLE_SOCKET"  # in place of all others, for the script of `resumable exec`

DEFAULT_GRACE = timedelta(seconds=30)
DEFAULT_STORE_TIMEOUT = timedelta(minutes=15)


class InvalidEnvironment(Exception):
    """The operator's variables are incomplete or malformed: the message names the variable."""


class WorkerEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that this process was started for, and how to reach its store."""

    store_url: str
    fence: Fence
    grace: timedelta = DEFAULT_GRACE  # between SIGTERM and SIGKILL
    store_timeout: timedelta = DEFAULT_STORE_TIMEOUT  # how long a store may stay away before the worker leaves
    token_file: Path | None = None
    checkpoint_dir: Path | None = None
    pod_uid: str = ""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "WorkerEnvironment | None":
        """What the operator set; None when no operator started this process. Raises `InvalidEnvironment`."""
        if RUN not in environ:
            return None
        missing = [name for name in (STORE_URL, ATTEMPT, NONCE) if not environ.get(name)]
        if missing:
            raise InvalidEnvironment(
                f"{RUN} is set but {', '.join(missing)} is not; the operator sets all of them or none"
            )
        return cls(
            store_url=environ[STORE_URL],
            fence=Fence(environ[RUN], _attempt(environ[ATTEMPT]), environ[NONCE]),
            grace=grace(environ),
            store_timeout=store_timeout(environ),
            token_file=_path(environ.get(TOKEN_FILE)),
            checkpoint_dir=_path(environ.get(CHECKPOINT_DIR)),
            pod_uid=environ.get(POD_UID, ""),
        )

    def variables(self) -> dict[str, str]:
        """The same as environment variables, for whoever starts a worker."""
        variables = {
            STORE_URL: self.store_url,
            RUN: self.fence.run_id,
            ATTEMPT: str(self.fence.attempt),
            NONCE: self.fence.nonce,
            GRACE_SECONDS: f"{self.grace.total_seconds():g}",
        }
        if self.store_timeout != DEFAULT_STORE_TIMEOUT:
            variables[STORE_TIMEOUT_SECONDS] = f"{self.store_timeout.total_seconds():g}"
        if self.token_file is not None:
            variables[TOKEN_FILE] = str(self.token_file)
        if self.checkpoint_dir is not None:
            variables[CHECKPOINT_DIR] = str(self.checkpoint_dir)
        if self.pod_uid:
            variables[POD_UID] = self.pod_uid
        return variables


def grace(environ: Mapping[str, str]) -> timedelta:
    """Between SIGTERM and SIGKILL."""
    return _seconds(environ, GRACE_SECONDS, DEFAULT_GRACE)


def store_timeout(environ: Mapping[str, str]) -> timedelta:
    """How long a store may stay away before the worker leaves."""
    return _seconds(environ, STORE_TIMEOUT_SECONDS, DEFAULT_STORE_TIMEOUT)


def _seconds(environ: Mapping[str, str], name: str, default: timedelta) -> timedelta:
    text = environ.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
        if seconds < 0:
            raise ValueError
        return timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise InvalidEnvironment(f"{name} is {text!r}; it must be a number of seconds, 0 or more") from None


def _attempt(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise InvalidEnvironment(f"{ATTEMPT} is {text!r}; it must be a number, 1 or more")
    return int(text)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
