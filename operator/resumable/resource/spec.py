"""`spec` of a ResumableJob: every field that does something, with the defaults that the CRD has too.

The CRD's schema has refused nearly everything that is refused here before an object of the API server gets this far; a
manifest that is run locally meets these checks first. A test keeps the two equal.
"""

import json
import re
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from resumable.resource.invalid import InvalidSpec
from resumable.resource.template import check_template
from resumable.state.record import Encoded

# Whole numbers as the API server's int32 holds them.
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Seconds = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class UpdateStrategy(StrEnum):
    """What a changed template does to an attempt that runs."""

    RESTART = "Restart"  # ask it to save and leave; the next one starts with the new template
    ON_NEXT_ATTEMPT = "OnNextAttempt"  # leave it alone


class WhenExhausted(StrEnum):
    """What becomes of a run whose failures are more than `backoffLimit`."""

    FAIL = "Fail"
    PAUSE = "Pause"


class Completion(StrEnum):
    """What says that the job is done."""

    RECORD = "Record"  # only the run's record
    EXIT_CODE = "ExitCode"  # exit 0 outside a disruption: for containers without the SDK


class PodReplacementPolicy(StrEnum):
    """When an attempt whose pod does not answer gets a successor."""

    TERMINATED = "Terminated"  # when the API server says that the pod is terminal
    AFTER_FENCING = "AfterFencing"  # also when it was unreachable for `unreachableNodeSeconds`


class Retention(StrEnum):
    """What becomes of the run's record and its checkpoint files."""

    RETAIN = "Retain"
    DELETE = "Delete"


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A typed object of the spec. An unknown field is an error: silently ignored it would be a promise nobody keeps."""


class Backoff(_Part, frozen=True):
    """The wait after a failure: doubles from `initialSeconds` to `maxSeconds`."""

    initial_seconds: Seconds = 10
    max_seconds: Seconds = 600


class Interruptions(_Part, frozen=True):
    """The budget of interruptions."""

    max: Count | None = None  # of all; None: no limit
    max_without_progress: Count = 5  # in a row


class CheckpointVolume(_Part, frozen=True):
    """A volume of the template, and where the worker finds it."""

    name: Annotated[str, Meta(min_length=1, max_length=63)]
    path: Annotated[str, Meta(min_length=1, max_length=1024, pattern="^/")]


class Checkpoints(_Part, frozen=True):
    """Where checkpoint files live."""

    volume: CheckpointVolume


class StateRetentionPolicy(_Part, frozen=True):
    """When the run's record and its checkpoint files go."""

    when_deleted: Retention = Retention.DELETE


class StepSpec(_Part, frozen=True):
    """A step of the run, by name."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    key: Annotated[str, Meta(max_length=255)] | None = None  # None: all its keys


class RestartSpec(_Part, frozen=True):
    """A request to run again. Carried out once for each `requestID`."""

    request_id: Annotated[str, Meta(min_length=1, max_length=63)] = msgspec.field(name="requestID")
    from_step: StepSpec | None = None  # forgotten with all that came after it
    forget: Annotated[tuple[StepSpec, ...], Meta(max_length=100)] = ()


class DisruptionPolicy(_Part, frozen=True):
    """How the cluster may disrupt a worker."""

    safe_to_evict: bool = True  # the cluster autoscaler's annotation, unless the template sets its own


class Spec(_Part, frozen=True):
    """`spec`, typed. The pod template stays as the user wrote it."""

    template: dict[str, Any]
    update_strategy: UpdateStrategy = UpdateStrategy.RESTART
    input: dict[str, Any] | None = None
    suspend: bool = False
    cancel: bool = False
    backoff_limit: Count = 6
    backoff: Backoff = Backoff()
    when_exhausted: WhenExhausted = WhenExhausted.FAIL
    interruptions: Interruptions = Interruptions()
    finished_pods_limit: Count = 3
    pod_replacement_policy: PodReplacementPolicy = PodReplacementPolicy.TERMINATED
    unreachable_node_seconds: Seconds = 300
    completion: Completion = Completion.RECORD
    checkpoints: Checkpoints | None = None
    state_retention_policy: StateRetentionPolicy = StateRetentionPolicy()
    disruption: DisruptionPolicy = DisruptionPolicy()
    restart: RestartSpec | None = None

    @property
    def encoded_input(self) -> Encoded | None:
        """`input` as the store keeps it. The same object always gives the same bytes."""
        if self.input is None:
            return None
        text = json.dumps(self.input, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return Encoded("json", text.encode())


def parse_spec(spec: object) -> Spec:
    """Make a `Spec` from what YAML or the API server gave; raises `InvalidSpec` naming the first wrong field."""
    try:
        parsed = msgspec.convert(spec, Spec)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    check_template(parsed.template)
    if parsed.backoff.max_seconds < parsed.backoff.initial_seconds:
        raise InvalidSpec(
            "spec.backoff.maxSeconds",
            f"{parsed.backoff.max_seconds} is less than initialSeconds {parsed.backoff.initial_seconds}",
            "at least initialSeconds",
        )
    if parsed.checkpoints is not None:
        _check_checkpoint_volume(parsed.checkpoints.volume, parsed.template)
    return parsed


# Stands for a template that can't be used.
_NO_TEMPLATE = {"spec": {"containers": [{"name": "unusable"}]}}


def salvage_spec(spec: object) -> Spec:
    """Of a spec that can't be used, what is right by itself; the defaults for the rest. Never start from it.

    Whether the state is to be retained, say, must be known of a job that is deleted because its template is wrong.
    """
    usable: dict[str, Any] = {"template": _NO_TEMPLATE}
    for name, value in spec.items() if isinstance(spec, dict) else ():
        try:
            msgspec.convert({"template": _NO_TEMPLATE, name: value}, Spec)
        except msgspec.ValidationError:
            continue
        usable[name] = value
    return msgspec.convert(usable | {"template": _NO_TEMPLATE}, Spec)


def _check_checkpoint_volume(volume: CheckpointVolume, template: dict[str, Any]) -> None:
    names = [each.get("name") for each in template["spec"].get("volumes") or () if isinstance(each, dict)]
    if volume.name not in names:
        allowed = "one of spec.template.spec.volumes: " + (", ".join(map(str, names)) or "(the template has none)")
        raise InvalidSpec("spec.checkpoints.volume.name", f"the template has no volume {volume.name!r}", allowed)


_LOCATION = re.compile(r"^(?P<problem>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)


def _explain(message: str) -> InvalidSpec:
    """Turn msgspec's "Invalid enum value 'x' - at `$.completion`" into a sentence that also lists what is allowed."""
    match = _LOCATION.match(message)
    assert match is not None  # the pattern matches any text
    path = (match["path"] or "").removeprefix(".")
    problem = match["problem"].replace("`", "")
    allowed = _allowed_at(path)
    if unknown := re.fullmatch(r"Object contains unknown field (?P<name>.*)", problem):
        path, problem = f"{path}.{unknown['name']}".lstrip("."), "there is no such field"
    elif missing := re.fullmatch(r"Object missing required field (?P<name>.*)", problem):
        path, problem, allowed = f"{path}.{missing['name']}".lstrip("."), "is missing", "it is required"
    return InvalidSpec("spec" + (f".{path}" if path else ""), problem[:1].lower() + problem[1:], allowed)


def _allowed_at(path: str) -> str:
    """What the field at this path accepts, where that is a list of words or of fields; "" elsewhere."""
    kind: msgspec.inspect.Type = msgspec.inspect.type_info(Spec)
    for name in filter(None, path.split(".")):
        kind = _unwrapped(kind)
        if not isinstance(kind, msgspec.inspect.StructType):
            return ""
        fields = {field.encode_name: field.type for field in kind.fields}
        if name not in fields:
            return ""
        kind = fields[name]
    kind = _unwrapped(kind)
    if isinstance(kind, msgspec.inspect.EnumType):
        return ", ".join(str(member.value) for member in kind.cls)
    if isinstance(kind, msgspec.inspect.StructType):
        return ", ".join(field.encode_name for field in kind.fields)
    if isinstance(kind, msgspec.inspect.IntType) and kind.ge is not None:
        return f"whole numbers from {kind.ge} to {kind.le}"
    return ""


def _unwrapped(kind: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """`X` of `X | None`, with its metadata taken off."""
    while isinstance(kind, msgspec.inspect.UnionType | msgspec.inspect.Metadata):
        if isinstance(kind, msgspec.inspect.Metadata):
            kind = kind.type
        else:
            kind = next(each for each in kind.types if not isinstance(each, msgspec.inspect.NoneType))
    return kind
