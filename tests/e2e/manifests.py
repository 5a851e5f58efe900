"""The manifests of the tests' own jobs, as a tenant of a `restricted` namespace would write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]

IMAGE = "localhost/resumable-jobs:dev"
JOBS = Path(__file__).parent / "jobs"
DATA = "/data"  # where the job's volume is mounted; the effect log lies in it
SCRIPTS = "job-scripts"


def job_scripts() -> Manifest:
    """The scripts of `jobs/` as a ConfigMap, so that no image has to be built for them."""
    data = {file.name: file.read_text() for file in JOBS.glob("*.py")}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SCRIPTS}, "data": data}


def volume_claim(name: str) -> Manifest:
    """A claim for a volume that both nodes can mount."""
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def resumable_job(
    name: str,
    script: str = "rows.py",
    *,
    input: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
    container: Mapping[str, object] | None = None,
    grace_seconds: int = 20,
    **spec: object,
) -> Manifest:
    """A ResumableJob that runs a script of `jobs/`, with its effect log on the claim of its own name.

    Args:
        name: the job's, and its claim's.
        script: the file in `jobs/`.
        input: `spec.input`.
        env: more environment variables.
        container: fields that replace those of the container.
        grace_seconds: between SIGTERM and SIGKILL.
        spec: more fields of the job's spec.
    """
    variables = {"EFFECT_LOG": f"{DATA}/effects.jsonl", **(env or {})}
    worker = {
        "name": "worker",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python", f"/jobs/{script}"],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "data", "mountPath": DATA}, {"name": "jobs", "mountPath": "/jobs", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **(container or {}),
    }
    template = {
        "spec": {
            "terminationGracePeriodSeconds": grace_seconds,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [worker],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": name}},
                {"name": "jobs", "configMap": {"name": SCRIPTS}},
            ],
        }
    }
    return {
        "apiVersion": "resumable.dev/v1alpha1",
        "kind": "ResumableJob",
        "metadata": {"name": name},
        "spec": {"input": dict(input or {}), **spec, "template": template},
    }
