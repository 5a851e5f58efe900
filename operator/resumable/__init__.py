"""Long Python jobs that survive the death of any process: finished steps are remembered, the job goes on after the
last one.
"""

from resumable.sdk.context import StepContext
from resumable.sdk.errors import (
    CheckpointDamaged,
    CheckpointsNotConfigured,
    ControlException,
    DuplicateStep,
    Fenced,
    Interrupted,
    InvalidInput,
    InvalidStep,
    JobDefinitionError,
    ResumableError,
    Rewound,
    RunIsBusy,
    RunNotRunnable,
    UnreadableResult,
    UnstorableResult,
    VersionMismatch,
)
from resumable.sdk.job import Job, JobDefinition, job

__all__ = [
    "CheckpointDamaged",
    "CheckpointsNotConfigured",
    "ControlException",
    "DuplicateStep",
    "Fenced",
    "Interrupted",
    "InvalidInput",
    "InvalidStep",
    "Job",
    "JobDefinition",
    "JobDefinitionError",
    "ResumableError",
    "Rewound",
    "RunIsBusy",
    "RunNotRunnable",
    "StepContext",
    "UnreadableResult",
    "UnstorableResult",
    "VersionMismatch",
    "job",
]
