"""A ResumableSignal: its schema, and what the run's record gets of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from resumable.controller.signals import signal_status
from resumable.lifecycle.decision import Condition
from resumable.resource import names
from resumable.resource.signal import read_signal
from resumable.state.record import Encoded
from resumable.state.store import NewSignal
from tests.unit.resource.test_schema import closed

ROOT = Path(__file__).parents[3]
CRD: dict[str, Any] = yaml.safe_load((ROOT / "crds/resumable.dev_resumablesignals.yaml").read_text())
[VERSION] = CRD["spec"]["versions"]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]


def signal(**more: Any) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.SIGNAL_KIND,
        "metadata": {"name": "approval-7", "namespace": "shop", "uid": "0b8e7a52", "resourceVersion": "1"},
        "spec": {"jobName": "import", "name": "approval", "payload": {"b": 1, "a": ["ü", None]}},
        **more,
    }


def test_its_name_is_its_identity_and_the_sender_is_the_resource() -> None:
    assert read_signal(signal()).as_sent == NewSignal(
        id="shop/approval-7",
        name="approval",
        payload=Encoded("json", '{"a":["ü",null],"b":1}'.encode()),
        sender="ResumableSignal/approval-7",
    )


@pytest.mark.parametrize(
    ("spec", "payload"),
    [({}, None), ({"payload": "yes"}, b'"yes"'), ({"payload": 0}, b"0"), ({"payload": False}, b"false")],
    ids=str,
)
def test_any_json_is_a_payload(spec, payload) -> None:
    manifest = signal(spec={"jobName": "import", "name": "approval"} | spec)
    jsonschema.validate(manifest, SCHEMA)
    assert read_signal(manifest).payload == (Encoded("json", payload) if payload is not None else None)


@pytest.mark.parametrize(
    "spec",
    [{}, {"jobName": "import"}, {"name": "approval"}, {"jobName": "x" * 53, "name": "a"}, {"jobName": "a", "name": ""}],
)
def test_a_signal_names_its_job_and_its_wait(spec) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(signal(spec=spec), SCHEMA)


@pytest.mark.parametrize(("phase", "settled"), [("Delivered", True), ("Refused", True), ("Pending", False)])
def test_what_was_delivered_or_refused_is_done_with(phase, settled) -> None:
    assert read_signal(signal(status={"phase": phase})).settled is settled
    assert not read_signal(signal()).settled


@pytest.mark.parametrize(("status", "phase"), [(True, "Delivered"), (False, "Refused"), (None, "Pending")])
def test_the_status_that_we_write_is_in_the_schema(status, phase) -> None:
    made = signal_status(Condition("Delivered", status, "Sent", "the run's record has it"), 1, "run-1")
    jsonschema.validate(made, closed(SCHEMA["properties"]["status"]))
    assert made["phase"] == phase


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
    assert CRD["metadata"]["name"] == f"{names.SIGNAL_PLURAL}.{names.GROUP}"
    assert CRD["spec"]["names"]["kind"] == names.SIGNAL_KIND
    assert VERSION["name"] == names.VERSION
    assert SCHEMA["properties"]["spec"]["properties"]["jobName"]["maxLength"] == names.MAX_NAME_LENGTH
