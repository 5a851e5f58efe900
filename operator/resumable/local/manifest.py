"""job.yaml as the local backend runs it: the same file that `kubectl apply` takes.

Of the pod template the worker container's `command`, `args`, `env` and `workingDir` count; the image does not, since
nothing is pulled. `python` is the interpreter that runs this, `resumable` this program, and relative paths start at the
manifest's folder. A volume claim becomes a folder. What a process can't be given (a ConfigMap, a second container) is
refused with a sentence rather than left out.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from resumable.resource.invalid import InvalidSpec
from resumable.resource.job import ResumableJob, parse_job
from resumable.resource.names import KIND
from resumable.resource.template import worker_container

PYTHON_NAMES = ("python", "python3")


class ManifestError(Exception):
    """The manifest can't be run here. The message is one sentence for the user: the file, the field, what to do."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What to start, read from the worker's container."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: Path


@dataclass(frozen=True, slots=True)
class Manifest:
    """One ResumableJob and how its worker is started as a process."""

    path: Path
    job: ResumableJob  # its uid, which is the run's id, is `metadata.uid` or "<namespace>/<name>"
    worker: Worker
    checkpoint_claim: (
        str | None
    )  # names the folder that stands for the checkpoint volume; None: the job has no such volume


def load_manifest(path: Path, overrides: Sequence[str] = (), namespace: str | None = None) -> Manifest:
    """Read a file with one ResumableJob in it; `overrides` like "input.epochs=3". Raises `ManifestError`."""
    document = _only_job(path, _documents(path))
    for override in overrides:
        _override(document, override)
    if namespace is not None:
        document.setdefault("metadata", {})["namespace"] = namespace
    try:
        job = parse_job(document)
        _check_names(job)
        if not job.uid:
            job = replace(job, uid=f"{job.namespace}/{job.name}")
        return Manifest(path, job, _worker(job, path.parent.resolve()), _checkpoint_claim(job))
    except InvalidSpec as error:
        raise ManifestError(f"{path}: {error}") from None


def _check_names(job: ResumableJob) -> None:
    """On a cluster the API server has seen to it; here folders are named by them."""
    for field, name in (("metadata.name", job.name), ("metadata.namespace", job.namespace)):
        if not re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", str(name)):
            raise InvalidSpec(field, f"{name!r} is not a DNS name", "small letters, digits, '-' and '.'")


def _documents(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise ManifestError(f"{path} is not YAML{line}: {getattr(error, 'problem', None) or error}") from None


def _only_job(path: Path, documents: list[Any]) -> dict[str, Any]:
    jobs = [each for each in documents if isinstance(each, dict) and each.get("kind") == KIND]
    if len(jobs) != 1:
        kinds = ", ".join(str(each.get("kind") if isinstance(each, dict) else each) for each in documents) or "nothing"
        count = "no" if not jobs else f"{len(jobs)}"
        raise ManifestError(f"{path} has {count} {KIND} (found: {kinds}); `resumable run` wants exactly one in a file")
    job: dict[str, Any] = jobs[0]
    if not isinstance(job.get("metadata") or {}, dict):
        raise ManifestError(f"{path}: metadata: has to be an object with a name")
    return job


def _override(document: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    names = path.split(".")
    if not equals or not all(names):
        raise ManifestError(f"--set {override}: write FIELD=VALUE with a field of the spec, as in --set input.epochs=3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ManifestError(
            f"--set {override}: {text!r} is not a YAML value; quote it as in --set 'input.name=\"a: b\"'"
        ) from None
    target = document.setdefault("spec", {})
    for depth, name in enumerate(names[:-1], start=1):
        target = target.setdefault(name, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            raise ManifestError(
                f"--set {override}: {'.'.join(names[:depth])} is not an object, so it has no field {names[depth]}"
            )
    if not isinstance(target, dict):
        raise ManifestError(f"--set {override}: the manifest's spec is not an object")
    target[names[-1]] = value


def _worker(job: ResumableJob, folder: Path) -> Worker:
    pod = job.spec.template["spec"]
    container = worker_container(job.spec.template)
    index = pod["containers"].index(container)
    field = f"spec.template.spec.containers[{index}]"
    if len(pod["containers"]) > 1 or pod.get("initContainers"):
        raise InvalidSpec(
            "spec.template.spec", "has more than one container, and locally only the worker can be run", "one container"
        )
    _refuse_volumes(job, container, field)
    environment = _environment(container, field)
    command = [_expanded(part, environment) for key in ("command", "args") for part in _strings(container, key, field)]
    if not container.get("command"):
        raise InvalidSpec(
            f"{field}.command", "is missing, and locally there is no image whose entry point could be run", "a list"
        )
    if command[0] in PYTHON_NAMES:
        command[0] = sys.executable
    elif command[0] == "resumable":
        command[:1] = [sys.executable, "-P", "-m", "resumable.cli.main"]
    elif "/" in command[0]:
        command[0] = str(folder / command[0])
    working_directory = folder / str(container.get("workingDir") or ".")
    if not working_directory.is_dir():
        allowed = f"a folder of this machine; a relative one starts at {folder}"
        raise InvalidSpec(f"{field}.workingDir", f"there is no folder {working_directory}", allowed)
    return Worker(tuple(command), environment, working_directory)


def _refuse_volumes(job: ResumableJob, container: dict[str, Any], field: str) -> None:
    volumes = {
        each["name"]: each
        for each in job.spec.template["spec"].get("volumes") or ()
        if isinstance(each, dict) and "name" in each
    }
    checkpoints = job.spec.checkpoints.volume.name if job.spec.checkpoints else None
    for n, mount in enumerate(_objects(container, "volumeMounts", field)):
        name = mount.get("name")
        if name != checkpoints and "emptyDir" not in volumes.get(name, {}):
            problem = f"volume {name!r} can't be mounted for a process"
            raise InvalidSpec(f"{field}.volumeMounts[{n}]", problem, "the volume of spec.checkpoints, or an emptyDir")


def _environment(container: dict[str, Any], field: str) -> dict[str, str]:
    if container.get("envFrom"):
        raise InvalidSpec(
            f"{field}.envFrom", "needs a cluster: locally there are no ConfigMaps and Secrets", "env with values"
        )
    environment: dict[str, str] = {}
    for n, variable in enumerate(_objects(container, "env", field)):
        if not isinstance(variable.get("name"), str):
            raise InvalidSpec(f"{field}.env[{n}].name", "is missing", "a name for each variable")
        if "valueFrom" in variable:
            problem = f"{variable['name']} needs a cluster: locally there are no ConfigMaps, Secrets and pod fields"
            raise InvalidSpec(f"{field}.env[{n}].valueFrom", problem, "value")
        value = variable.get("value", "")
        if not isinstance(value, str):
            raise InvalidSpec(f"{field}.env[{n}].value", f"{value!r} is not a text", f'quotes, as in "{value}"')
        environment[variable["name"]] = _expanded(value, environment)
    return environment


def _objects(container: dict[str, Any], key: str, field: str) -> list[dict[str, Any]]:
    values = container.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InvalidSpec(f"{field}.{key}", f"{values!r} is not a list of objects")
    return values


def _strings(container: dict[str, Any], key: str, field: str) -> list[str]:
    values = container.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidSpec(f"{field}.{key}", f"{values!r} is not a list of texts", '["python", "my_job.py"]')
    return values


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """Kubernetes' own `$(NAME)`: an unknown name is left as it is, and `$$` is a dollar."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)", value, text)


def _checkpoint_claim(job: ResumableJob) -> str | None:
    if job.spec.checkpoints is None:
        return None
    wanted = job.spec.checkpoints.volume.name
    volume = next(
        each for each in job.spec.template["spec"]["volumes"] if isinstance(each, dict) and each.get("name") == wanted
    )
    claim = volume.get("persistentVolumeClaim") or {}
    return str(claim.get("claimName") or f"{job.name}-{wanted}")
