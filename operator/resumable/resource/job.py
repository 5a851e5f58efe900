"""A ResumableJob, read from the object that the API server or a manifest gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from resumable.resource.invalid import InvalidSpec
from resumable.resource.names import (
    ANNOTATION_ABANDON_STATE,
    API_VERSION,
    FINALIZER,
    KIND,
    MAX_NAME_LENGTH,
    pod_name,
)
from resumable.resource.spec import Spec, parse_spec, salvage_spec
from resumable.resource.template import grace_seconds, template_hash


class ObservedCondition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A condition as the status has it now."""

    type: str
    status: str  # "True", "False", "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class Observed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What later decisions need of the last written status: what must not be forgotten, and when conditions changed."""

    observed_generation: int = 0
    attempt: int = 0  # only grows: a store that has less went back in time
    run_id: str = msgspec.field(default="", name="runID")
    store_uuid: str = msgspec.field(default="", name="storeUUID")
    phase: str = ""
    observed_restart_id: str | None = msgspec.field(default=None, name="observedRestartID")
    start_time: str | None = None
    completion_time: str | None = None
    conditions: tuple[ObservedCondition, ...] = ()

    def condition(self, kind: str) -> ObservedCondition | None:
        """The condition of this type, if the status has one."""
        return next((each for each in self.conditions if each.type == kind), None)


@dataclass(frozen=True, slots=True)
class ResumableJob:
    """One ResumableJob.

    `problem` is set when the spec can't be used: then nothing is started, but what runs is still looked after.
    """

    namespace: str
    name: str
    uid: str  # also the run's id
    spec: Spec
    generation: int = 0
    resource_version: str = ""
    created: datetime | None = None
    deleting_since: datetime | None = None
    finalized: bool = False  # carries our finalizer
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    observed: Observed = field(default_factory=Observed)
    problem: InvalidSpec | None = None
    restart_problem: str = ""  # why `spec.restart` can't be carried out; found out by whoever reads the run's steps

    @property
    def template_hash(self) -> str:
        """Compared with a pod's: another one means that the template was changed since."""
        return template_hash(self.spec.template)

    @property
    def grace_seconds(self) -> int:
        """Seconds between SIGTERM and SIGKILL."""
        return grace_seconds(self.spec.template)

    @property
    def abandons_state(self) -> bool:
        """A person let the deleted job go without its state being dealt with: the store may be gone for ever."""
        return self.annotations.get(ANNOTATION_ABANDON_STATE) == "true"

    def pod_name(self, attempt: int) -> str:
        """The name of this attempt's pod."""
        return pod_name(self.name, attempt)


def parse_job(obj: Mapping[str, Any]) -> ResumableJob:
    """Read an object of the API server or of a manifest; raises `InvalidSpec`."""
    job = read_job(obj)
    if job.problem is not None:
        raise job.problem
    return job


def read_job(obj: Mapping[str, Any]) -> ResumableJob:
    """Like `parse_job`, but a wrong spec is told in `problem`.

    The controller's way in: a job with a wrong spec must still be deletable, and its pods' ends counted.
    """
    metadata: Mapping[str, Any] = obj.get("metadata") or {}
    problem: InvalidSpec | None = None
    try:
        _check_identity(obj, metadata)
        spec = parse_spec(obj.get("spec", {}))
    except InvalidSpec as error:
        problem, spec = error, salvage_spec(obj.get("spec"))
    return ResumableJob(
        namespace=metadata.get("namespace") or "default",
        name=str(metadata.get("name") or ""),
        uid=str(metadata.get("uid") or ""),
        spec=spec,
        generation=int(metadata.get("generation") or 0),
        resource_version=str(metadata.get("resourceVersion") or ""),
        created=_time(metadata.get("creationTimestamp")),
        deleting_since=_time(metadata.get("deletionTimestamp")),
        finalized=FINALIZER in (metadata.get("finalizers") or ()),
        labels=dict(metadata.get("labels") or {}),
        annotations=dict(metadata.get("annotations") or {}),
        observed=msgspec.convert(obj.get("status") or {}, Observed, strict=False),
        problem=problem,
    )


def _check_identity(obj: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if obj.get(key) != wanted:
            raise InvalidSpec(key, f"is {obj.get(key)!r}", wanted)
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidSpec("metadata.name", "is missing", "a DNS name")
    if len(name) > MAX_NAME_LENGTH:
        problem = f"{name!r} has {len(name)} characters; a pod's name adds to it"
        raise InvalidSpec("metadata.name", problem, f"at most {MAX_NAME_LENGTH}")


def _time(value: object) -> datetime | None:
    """YAML gives datetimes, the API server strings."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else None
