"""Long Python jobs that survive the death of any process: finished steps are remembered, the job goes on after the
last one.
"""

from resumable.sdk.async_context import AsyncStepContext
from resumable.sdk.async_job import AsyncJob
from resumable.sdk.context import StepContext
from resumable.sdk.errors import (
    CheckpointDamaged,
    CheckpointsNotConfigured,
    ControlException,
    DuplicateStep,
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
    RunIsBusy,
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

__all__ = [
    "AsyncJob",
    "AsyncStepContext",
    "CheckpointDamaged",
    "CheckpointsNotConfigured",
    "ControlException",
    "DuplicateStep",
    "EventLoopRunning",
    "Fatal",
    "Fenced",
    "Interrupted",
    "InvalidInput",
    "InvalidStep",
    "Job",
    "JobDefinition",
    "JobDefinitionError",
    "Paused",
    "Received",
    "ResultExpired",
    "ResumableError",
    "Retry",
    "Rewound",
    "RunIsBusy",
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
