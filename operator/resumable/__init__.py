"""Long Python jobs that survive the death of any process: finished steps are remembered, the job goes on after the
last one.
"""

from typing import TYPE_CHECKING, Any

from resumable.sdk.async_context import AsyncStepContext
from resumable.sdk.async_job import AsyncJob
from resumable.sdk.context import StepContext
from resumable.sdk.errors import (
    CheckpointDamaged,
    CheckpointsNotConfigured,
    ControlException,
    DuplicateStep,
    EncryptionKeyError,
    EventLoopRunning,
    Fatal,
    Fenced,
    Interrupted,
    InvalidInput,
    InvalidStep,
    JobDefinitionError,
    Paused,
    ResultExpired,
    ResumableError,
    Rewound,
    RunFailed,
    RunIsBusy,
    RunNotFound,
    RunNotRunnable,
    RunTimeout,
    StepFailed,
    StepNotAwaited,
    StepTimeout,
    UnreadableResult,
    UnstorableResult,
    VersionMismatch,
    Waiting,
    WaitTimeout,
)
from resumable.sdk.job import Job, JobDefinition, job
from resumable.sdk.retry import Retry
from resumable.sdk.wait_run import Received

if TYPE_CHECKING:
    from resumable.sdk.async_client import AsyncClient
    from resumable.sdk.client import Client
    from resumable.sdk.in_process import JobRun
    from resumable.sdk.run_info import RunDetails, RunInfo

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncStepContext",
    "CheckpointDamaged",
    "CheckpointsNotConfigured",
    "Client",
    "ControlException",
    "DuplicateStep",
    "EncryptionKeyError",
    "EventLoopRunning",
    "Fatal",
    "Fenced",
    "Interrupted",
    "InvalidInput",
    "InvalidStep",
    "Job",
    "JobDefinition",
    "JobDefinitionError",
    "JobRun",
    "Paused",
    "Received",
    "ResultExpired",
    "ResumableError",
    "Retry",
    "Rewound",
    "RunDetails",
    "RunFailed",
    "RunInfo",
    "RunIsBusy",
    "RunNotFound",
    "RunNotRunnable",
    "RunTimeout",
    "StepContext",
    "StepFailed",
    "StepNotAwaited",
    "StepTimeout",
    "UnreadableResult",
    "UnstorableResult",
    "VersionMismatch",
    "WaitTimeout",
    "Waiting",
    "job",
]


# For programs that use runs; a worker needs no client, and no event loop.
_WHEN_USED = {
    "AsyncClient": "resumable.sdk.async_client",
    "Client": "resumable.sdk.client",
    "JobRun": "resumable.sdk.in_process",
    "RunDetails": "resumable.sdk.run_info",
    "RunInfo": "resumable.sdk.run_info",
}


def __getattr__(name: str) -> Any:
    if name not in _WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHEN_USED[name]), name)
