"""Long Python jobs that survive the death of any process: finished steps are remembered, the job goes on after the
last one.
"""

from resumable.sdk.context import StepContext
from resumable.sdk.errors import (
    CheckpointDamaged,
    CheckpointsNotConfigured,
    ControlException,
    DuplicateStep,
    Fatal,
    Fenced,
    Interrupted,
    InvalidInput,
    InvalidStep,
    JobDefinitionError,
    Paused,
    ResumableError,
    Rewound,
    RunIsBusy,
    RunNotRunnable,
    StepFailed,
    UnreadableResult,
    UnstorableResult,
    VersionMismatch,
    Waiting,
)
from resumable.sdk.job import Job, JobDefinition, job
from resumable.sdk.retry import Retry

__all__ = [
    "CheckpointDamaged",
    "CheckpointsNotConfigured",
    "ControlException",
    "DuplicateStep",
    "Fatal",
    "Fenced",
    "Interrupted",
    "InvalidInput",
    "InvalidStep",
    "Job",
    "JobDefinition",
    "JobDefinitionError",
    "Paused",
    "ResumableError",
    "Retry",
    "Rewound",
    "RunIsBusy",
    "RunNotRunnable",
    "StepContext",
    "StepFailed",
    "UnreadableResult",
    "UnstorableResult",
    "VersionMismatch",
    "Waiting",
    "job",
]
