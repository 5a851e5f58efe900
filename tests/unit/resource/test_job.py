"""Reading a ResumableJob, and what a user is told of a wrong one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from resumable.resource.invalid import InvalidSpec
from resumable.resource.job import parse_job, read_job
from resumable.resource.spec import Retention, UpdateStrategy
from resumable.resource.template import grace_seconds, worker_container
from resumable.state.record import Encoded

TEMPLATE = {"spec": {"containers": [{"name": "main"}, {"name": "proxy"}]}}


def manifest(name: Any = "import", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "resumable.dev/v1alpha1",
        "kind": "ResumableJob",
        "metadata": {"name": name, "uid": "5d0c", "deletionTimestamp": "2026-01-01T12:00:00Z"},
        "spec": {"template": TEMPLATE} | spec,
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (manifest(backoffLimits=3), "spec.backoffLimits: there is no such field; allowed: template, updateStrategy, "),
        (manifest(completion="Exit"), "spec.completion: invalid enum value 'Exit'; allowed: Record, ExitCode"),
        (
            manifest(backoff={"maxSeconds": 0}),
            "spec.backoff.maxSeconds: expected int >= 1; allowed: whole numbers from 1",
        ),
        (manifest(backoff={"maxSeconds": 5}), "spec.backoff.maxSeconds: 5 is less than initialSeconds 10"),
        (manifest(backoff={"max": 5}), "spec.backoff.max: there is no such field; allowed: initialSeconds, maxSeconds"),
        (manifest(checkpoints={}), "spec.checkpoints.volume: is missing"),
        (
            manifest(checkpoints={"volume": {"name": "v", "path": "/v"}}),
            "spec.checkpoints.volume.name: the template has no volume 'v'; allowed: one of spec.template.spec.volumes",
        ),
        (manifest(template={"spec": {"containers": []}}), "spec.template.spec.containers: there is no container"),
        (
            manifest(template={"spec": TEMPLATE["spec"] | {"terminationGracePeriodSeconds": -5}}),
            "spec.template.spec.terminationGracePeriodSeconds: -5; allowed: whole seconds, 0 or more",
        ),
        (
            manifest(template={"spec": TEMPLATE["spec"] | {"restartPolicy": "Always"}}),
            "spec.template.spec.restartPolicy: 'Always': only the operator restarts a worker; allowed: Never",
        ),
        (manifest("a" * 53), "metadata.name: 'aaa"),
        (manifest(None), "metadata.name: is missing"),
        (manifest() | {"kind": "Job"}, "kind: is 'Job'; allowed: ResumableJob"),
        (manifest() | {"apiVersion": "v1"}, "apiVersion: is 'v1'; allowed: resumable.dev/v1alpha1"),
        (manifest() | {"spec": None}, "spec: expected object, got null"),
    ],
)
def test_a_wrong_manifest_is_told_with_its_field_and_what_is_allowed(wrong, message) -> None:
    with pytest.raises(InvalidSpec) as told:
        parse_job(wrong)
    assert str(told.value).startswith(message)


def test_a_name_of_52_characters_is_fine() -> None:
    assert parse_job(manifest("a" * 52)).pod_name(1) == "a" * 52 + "-r1"


def test_the_controller_reads_a_wrong_job_with_what_is_right_in_it() -> None:
    wrong = read_job(
        manifest(
            backoffLimit=-1,
            suspend=True,
            stateRetentionPolicy={"whenDeleted": "Retain"},
            updateStrategy="Never",
        )
    )
    assert wrong.problem is not None
    assert wrong.spec.suspend
    assert wrong.spec.state_retention_policy.when_deleted is Retention.RETAIN
    assert wrong.spec.update_strategy is UpdateStrategy.RESTART
    assert wrong.deleting_since == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_same_input_always_gives_the_same_bytes() -> None:
    one, other = manifest(input={"b": "ü", "a": 1}), manifest(input={"a": 1, "b": "ü"})
    assert parse_job(one).spec.encoded_input == parse_job(other).spec.encoded_input
    assert parse_job(one).spec.encoded_input == Encoded("json", '{"a":1,"b":"ü"}'.encode())
    assert parse_job(manifest()).spec.encoded_input is None


def test_the_worker_is_the_first_container_or_the_one_that_the_annotation_names() -> None:
    assert worker_container(TEMPLATE)["name"] == "main"
    annotations = {"kubectl.kubernetes.io/default-container": "proxy"}
    assert worker_container(TEMPLATE | {"metadata": {"annotations": annotations}})["name"] == "proxy"
    wrong = TEMPLATE | {"metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "x"}}}
    with pytest.raises(InvalidSpec, match="there is no container 'x'; allowed: main, proxy"):
        parse_job(manifest(template=wrong))


def test_the_grace_is_sixty_seconds_unless_the_template_says_otherwise() -> None:
    assert grace_seconds(TEMPLATE) == 60
    assert grace_seconds({"spec": TEMPLATE["spec"] | {"terminationGracePeriodSeconds": 0}}) == 0
