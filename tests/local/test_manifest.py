"""A manifest that can't be run gets a sentence, and nothing is started."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from resumable.local.manifest import Manifest, ManifestError, load_manifest
from tests.local.conftest import MANIFEST, LocalRun

EXAMPLES = Path(__file__).parents[2] / "examples"


def write(folder: Path, spec: dict[str, Any] | None = None, container: dict[str, Any] | None = None) -> Path:
    manifest = json.loads(json.dumps(MANIFEST))
    manifest["spec"] |= spec or {}
    if container:
        manifest["spec"]["template"]["spec"]["containers"][0] |= container
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(manifest))
    return path


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(ManifestError) as error:
        load_manifest(path, overrides)
    return str(error.value)


def loaded(path: Path, *overrides: str) -> Manifest:
    return load_manifest(path, overrides)


@pytest.mark.parametrize("example", ["train", "import"])
def test_the_examples_run_locally_as_they_are(example: str) -> None:
    manifest = loaded(EXAMPLES / example / "job.yaml")
    assert manifest.job.uid == f"default/{example}"
    assert manifest.worker.command[0] == sys.executable
    assert (manifest.worker.working_directory / manifest.worker.command[1]).is_file()
    assert manifest.checkpoint_claim == f"{example}-data"


def test_the_shell_example_is_run_by_this_program() -> None:
    manifest = loaded(EXAMPLES / "shell" / "job.yaml")
    program = (sys.executable, "-P", "-m", "resumable.cli.main")
    assert manifest.worker.command == (*program, "exec", "--", "./factor.sh")


def test_metadata_uid_is_the_run(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace("name: count\nspec", "name: count\n  uid: abc\nspec"))
    assert loaded(path).job.uid == "abc"


def test_set_changes_the_spec(tmp_path: Path) -> None:
    job = loaded(write(tmp_path), "input.files=[a, b]", "backoffLimit=2", "suspend=true").job
    assert job.spec.input == {"files": ["a", "b"]}
    assert (job.spec.backoff_limit, job.spec.suspend) == (2, True)


def test_variables_in_command_and_env_are_expanded_as_kubernetes_does(tmp_path: Path) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}]
    worker = loaded(write(tmp_path, container={"env": env, "args": ["$(B)", "$(NONE)", "$$(A)"]})).worker
    assert worker.environment == {"A": "1", "B": "12"}
    assert worker.command[2:] == ("12", "$(NONE)", "$(A)")


@pytest.mark.parametrize(
    ("container", "sentences"),
    [
        ({"command": None}, ["spec.template.spec.containers[0].command", "is missing", "image"]),
        ({"command": "python count.py"}, ["containers[0].command", "is not a list of texts"]),
        ({"env": [{"name": "A", "value": 3}]}, ["containers[0].env[0].value", "3 is not a text", "quotes"]),
        (
            {"env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            ["containers[0].env[0].valueFrom", "PASSWORD needs a cluster"],
        ),
        ({"envFrom": [{"configMapRef": {"name": "settings"}}]}, ["containers[0].envFrom", "no ConfigMaps"]),
        ({"volumeMounts": [{"name": "settings", "mountPath": "/etc/x"}]}, ["volumeMounts[0]", "'settings'"]),
        ({"volumeMounts": "data"}, ["containers[0].volumeMounts", "is not a list of objects"]),
        ({"env": ["A=1"]}, ["containers[0].env", "is not a list of objects"]),
        ({"workingDir": "/no/such/folder"}, ["containers[0].workingDir", "there is no folder /no/such/folder"]),
    ],
)
def test_what_a_process_cannot_be_given_is_named(
    tmp_path: Path, container: dict[str, Any], sentences: list[str]
) -> None:
    message = refused(write(tmp_path, container=container))
    for sentence in [str(tmp_path / "job.yaml"), *sentences]:
        assert sentence in message


@pytest.mark.parametrize(
    ("spec", "sentences"),
    [
        ({"templat": {}}, ["spec.templat", "there is no such field", "template, "]),
        ({"backoffLimit": -1}, ["spec.backoffLimit", "0"]),
        ({"completion": "Maybe"}, ["spec.completion", "Maybe", "Record, ExitCode"]),
        ({"template": {"spec": {"containers": []}}}, ["spec.template.spec.containers", "there is no container"]),
        (
            {"checkpoints": {"volume": {"name": "data", "path": "/data"}}},
            ["spec.checkpoints.volume.name", "the template has no volume 'data'"],
        ),
    ],
)
def test_a_bad_spec_is_named_by_its_field(tmp_path: Path, spec: dict[str, Any], sentences: list[str]) -> None:
    message = refused(write(tmp_path, spec))
    for sentence in sentences:
        assert sentence in message


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind: ConfigMap", "has no ResumableJob (found: ConfigMap); `resumable run` wants exactly one"),
        ("", "has no ResumableJob (found: nothing)"),
        ("kind: ResumableJob\n---\nkind: ResumableJob", "has 2 ResumableJob"),
        ("a: [1,", "is not YAML at line 1"),
        ("kind: ResumableJob\nmetadata: x", "metadata: has to be an object"),
        ("apiVersion: resumable.dev/v1alpha1\nkind: ResumableJob\nmetadata: {name: a}\nspec: 3", "spec"),
        (yaml.safe_dump(MANIFEST | {"metadata": {"name": "../a"}}), "metadata.name: '../a' is not a DNS name"),
        (yaml.safe_dump(MANIFEST | {"metadata": {"name": "a" * 53}}), "metadata.name"),
        (yaml.safe_dump(MANIFEST | {"metadata": {"name": "a", "namespace": "b/c"}}), "metadata.namespace: 'b/c'"),
    ],
)
def test_a_file_that_is_no_manifest_is_told_so(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    assert sentence in refused(path)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("input.total", "write FIELD=VALUE"),
        ("input..total=3", "write FIELD=VALUE"),
        ("backoffLimit.x=3", "backoffLimit is not an object, so it has no field x"),
        ("input.total=[", "is not a YAML value"),
    ],
)
def test_a_bad_override_says_how_to_write_it(tmp_path: Path, override: str, sentence: str) -> None:
    path = write(tmp_path, {"backoffLimit": 3})
    assert sentence in refused(path, override)


def test_the_command_line_says_it_in_one_line_with_exit_code_2(local: LocalRun) -> None:
    output = local.run("--set", "completion=Maybe", expected=2)
    assert output.startswith("Error: job.yaml: spec.completion: ")
    assert len(output.splitlines()) == 1
    assert not (local.folder / ".resumable" / "state.db").exists()


def test_a_missing_file_is_a_usage_error(local: LocalRun) -> None:
    output = local.finish(local.start("run", "nothing.yaml"), expected=2)
    assert "'nothing.yaml' does not exist" in output


def test_a_run_that_does_not_exist_is_named_with_those_that_do(local: LocalRun) -> None:
    local.run("--set", "input.pace=0.001")
    output = local.finish(local.start("describe", "other"), expected=2)
    assert "there is no run 'other' in namespace 'default'; the runs in this store: default/count" in output


def test_without_a_local_store_the_way_to_name_one_is_told(local: LocalRun) -> None:
    output = local.finish(local.start("list"), expected=2)
    assert "--store-url" in output
