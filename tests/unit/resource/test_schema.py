"""The CRD's schema and the parser are two tellings of one thing: the same fields, defaults, words and limits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from resumable.lifecycle.decide import decide
from resumable.lifecycle.status import status_of
from resumable.resource import names
from resumable.resource.invalid import InvalidSpec
from resumable.resource.spec import Spec, parse_spec
from resumable.state.record import RunStatus
from tests.unit.lifecycle.builders import NOON, STORE, attempt, failed, interrupted, job, pod, run, view

ROOT = Path(__file__).parents[3]
CRD: dict[str, Any] = yaml.safe_load((ROOT / "crds/resumable.dev_resumablejobs.yaml").read_text())
[VERSION] = CRD["spec"]["versions"]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]
SPEC: dict[str, Any] = SCHEMA["properties"]["spec"]
TEMPLATE = {"spec": {"containers": [{"name": "main"}]}}


def structures(kind: type, schema: dict[str, Any], path: str) -> Iterator[tuple[str, type, dict[str, Any]]]:
    """Each typed object of the spec, with its schema."""
    yield path, kind, schema
    for field in msgspec.structs.fields(kind):
        name, described = field.encode_name, schema["properties"][field.encode_name]
        if (inner := struct_in(field.type)) is not None:
            yield from structures(inner, described.get("items", described), f"{path}.{name}")


def struct_in(kind: Any) -> type | None:
    """The typed object in `X`, `X | None`, `tuple[X, ...]` or one of these with limits."""
    if is_struct(kind):
        return kind
    return next(filter(None, map(struct_in, getattr(kind, "__args__", ()))), None)


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


STRUCTURES = list(structures(Spec, SPEC, "spec"))
FIELDS = [
    pytest.param(field, schema["properties"].get(field.encode_name, {}), id=f"{path}.{field.encode_name}")
    for path, kind, schema in STRUCTURES
    for field in msgspec.structs.fields(kind)
]


@pytest.mark.parametrize(("path", "kind", "schema"), STRUCTURES, ids=[path for path, _, _ in STRUCTURES])
def test_both_know_the_same_fields(path, kind, schema) -> None:
    fields = msgspec.structs.fields(kind)
    assert {field.encode_name for field in fields} == set(schema["properties"])
    assert {field.encode_name for field in fields if field.required} == set(schema.get("required", ()))


@pytest.mark.parametrize(("field", "schema"), FIELDS)
def test_both_have_the_same_default(field, schema) -> None:
    if is_struct(field.type):  # an object's default is made of its fields'
        filled = msgspec.convert(schema["default"], field.type) if "default" in schema else None
        assert filled == (None if field.required else field.default)
        return
    ours = None if field.required else msgspec.json.decode(msgspec.json.encode(field.default))
    assert schema.get("default") == ours


@pytest.mark.parametrize(("field", "schema"), FIELDS)
def test_both_have_the_same_words_and_limits(field, schema) -> None:
    kind = msgspec.inspect.type_info(field.type)
    while isinstance(kind, msgspec.inspect.Metadata | msgspec.inspect.UnionType):
        kind = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind.types[0]
    match kind:
        case msgspec.inspect.EnumType(cls=words):
            assert schema["enum"] == [str(word.value) for word in words]
        case msgspec.inspect.IntType(ge=least, le=most):
            assert (schema["type"], schema["minimum"], schema["format"], most) == ("integer", least, "int32", 2**31 - 1)
        case msgspec.inspect.StrType(min_length=least, max_length=most, pattern=pattern):
            assert (schema.get("minLength"), schema["maxLength"], schema.get("pattern")) == (least, most, pattern)
        case msgspec.inspect.VarTupleType(max_length=most):
            assert (schema["type"], schema["maxItems"]) == ("array", most)
        case msgspec.inspect.BoolType():
            assert schema["type"] == "boolean"
        case _:
            assert schema["type"] == "object"


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"template": {}},
        {"template": {"spec": {}}},
        {"template": {"spec": {"containers": []}}},
        {"template": {"spec": {"containers": [{}]}}},
        {"template": {"spec": TEMPLATE["spec"] | {"terminationGracePeriodSeconds": -1}}},
        {"template": {"spec": TEMPLATE["spec"] | {"restartPolicy": "OnFailure"}}},
        {"template": TEMPLATE, "backoffLimit": -1},
        {"template": TEMPLATE, "backoffLimit": "6"},
        {"template": TEMPLATE, "completion": "Exit"},
        {"template": TEMPLATE, "suspend": "yes"},
        {"template": TEMPLATE, "input": [1]},
        {"template": TEMPLATE, "restart": {}},
        {"template": TEMPLATE, "restart": {"requestID": ""}},
        {"template": TEMPLATE, "restart": {"requestID": "1", "fromStep": {}}},
        {"template": TEMPLATE, "restart": {"requestID": "1", "forget": [{"key": "7"}]}},
        {"template": TEMPLATE, "checkpoints": {}},
        {"template": TEMPLATE, "checkpoints": {"volume": {"name": "v", "path": "relative"}}},
    ],
    ids=str,
)
def test_both_refuse_the_same(spec) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, SPEC)
    with pytest.raises(InvalidSpec):
        parse_spec(spec)


def test_both_accept_all_of_it() -> None:
    spec: dict[str, Any] = {
        "template": {"spec": TEMPLATE["spec"] | {"volumes": [{"name": "v", "emptyDir": {}}]}},
        "updateStrategy": "OnNextAttempt",
        "input": {"rows": 3, "nested": {"a": [1, None]}},
        "suspend": True,
        "cancel": False,
        "backoffLimit": 0,
        "backoff": {"initialSeconds": 1, "maxSeconds": 1},
        "whenExhausted": "Pause",
        "interruptions": {"max": 10, "maxWithoutProgress": 0},
        "finishedPodsLimit": 0,
        "podReplacementPolicy": "AfterFencing",
        "unreachableNodeSeconds": 1,
        "completion": "ExitCode",
        "checkpoints": {"volume": {"name": "v", "path": "/checkpoints"}},
        "stateRetentionPolicy": {"whenDeleted": "Retain"},
        "disruption": {"safeToEvict": False},
        "restart": {
            "requestID": "2026-01-01",
            "fromStep": {"name": "load", "key": "7"},
            "forget": [{"name": "report", "key": ""}],
        },
    }
    assert set(spec) == set(SPEC["properties"])
    jsonschema.validate(spec, SPEC)
    assert msgspec.json.decode(msgspec.json.encode(parse_spec(spec))) == spec


def test_every_field_is_described_in_a_sentence() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> Iterator[str]:
        for name, inner in schema.get("properties", {}).items():
            if not inner.get("description", "").endswith(".") and f"{path}.{name}" != ".metadata":
                yield f"{path}.{name}"
            yield from undescribed(inner, f"{path}.{name}")
        if "items" in schema:
            yield from undescribed(schema["items"], f"{path}[]")

    assert list(undescribed(SCHEMA, "")) == []


def test_the_names_are_the_ones_that_the_code_uses() -> None:
    assert CRD["metadata"]["name"] == f"{names.PLURAL}.{names.GROUP}"
    assert CRD["spec"]["names"]["kind"] == names.KIND
    assert VERSION["name"] == names.VERSION
    [rule] = SCHEMA["x-kubernetes-validations"]
    assert rule["rule"] == f"size(self.metadata.name) <= {names.MAX_NAME_LENGTH}"


def test_the_status_that_we_write_is_in_the_schema() -> None:
    """Pruned fields would be a status that nobody ever sees."""
    record = view(run(attempt=3, started=NOON), interrupted(1), failed(2), attempt(3), last_saved=NOON)
    made = status_of(
        job(), record, [pod(3)], decide(job(), record, [pod(3)], NOON, store_uuid=STORE.uuid), now=NOON, store=STORE
    )
    without_nothing = {name: value for name, value in made.items() if value is not None}
    without_nothing["progress"] = {name: each for name, each in made["progress"].items() if each is not None}
    jsonschema.validate(without_nothing, closed(SCHEMA["properties"]["status"]))
    assert set(made) == set(SCHEMA["properties"]["status"]["properties"])
    assert made["phase"] == RunStatus.RUNNING


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as pruning sees it: no other fields."""
    copy = dict(schema)
    if "properties" in copy:
        copy["properties"] = {name: closed(inner) for name, inner in copy["properties"].items()}
        copy["additionalProperties"] = False
    if "items" in copy:
        copy["items"] = closed(copy["items"])
    return copy


def test_the_columns_show_fields_that_exist() -> None:
    for column in VERSION["additionalPrinterColumns"]:
        schema = SCHEMA
        for name in column["jsonPath"].removeprefix(".").split("."):
            if name == "metadata":
                break
            schema = schema["properties"][name]
