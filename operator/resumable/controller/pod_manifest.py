"""From a job's template to the Pod of one attempt. Pure.

What the user wrote stays as it is, except what the promise rests on: the name, `restartPolicy: Never` (the controller
is the only one that restarts), the owner, the finalizer, our labels, and the environment `RESUMABLE_*`.
"""

import copy
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from resumable.lifecycle.pod import nonce_hash
from resumable.resource import names
from resumable.resource.invalid import InvalidSpec
from resumable.resource.job import ResumableJob
from resumable.resource.template import worker_container
from resumable.sdk.environment import POD_UID, WorkerEnvironment
from resumable.state.record import Fence

TOKEN_VOLUME = "resumable-token"
TOKEN_FILE = Path("/var/run/secrets/resumable.dev/token")
TOKEN_EXPIRATION_SECONDS = 3600


def pod_manifest(job: ResumableJob, attempt: int, nonce: str, *, store_url: str) -> dict[str, Any]:
    """The Pod to create, from a job whose spec has no `problem`.

    Raises `InvalidSpec` where the template takes a name that is ours. What else may be wrong with it is left to the API
    server, which says it better.
    """
    template = copy.deepcopy(job.spec.template)
    metadata: dict[str, Any] = template.get("metadata") or {}
    spec: dict[str, Any] = template["spec"]
    spec["restartPolicy"] = "Never"
    spec["terminationGracePeriodSeconds"] = job.grace_seconds
    spec["volumes"] = [*_volumes(spec), _token_volume()]
    container = worker_container(template)
    container["volumeMounts"] = [*(container.get("volumeMounts") or []), *_mounts(job, container)]
    container["env"] = _environment(container, _ours(job, attempt, nonce, store_url))
    # A worker that dies says why on its last lines; without this the pod's status would not have them.
    container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": job.pod_name(attempt),
            "namespace": job.namespace,
            "labels": {
                **(metadata.get("labels") or {}),
                names.LABEL_JOB_NAME: job.name,
                names.LABEL_RUN: job.uid,
                names.LABEL_ATTEMPT: str(attempt),
            },
            "annotations": {
                **({names.ANNOTATION_SAFE_TO_EVICT: "true"} if job.spec.disruption.safe_to_evict else {}),
                **(metadata.get("annotations") or {}),
                names.ANNOTATION_TEMPLATE_HASH: job.template_hash,
                names.ANNOTATION_NONCE_HASH: nonce_hash(nonce),
            },
            "finalizers": [*(metadata.get("finalizers") or []), names.FINALIZER],
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": names.KIND,
                    "name": job.name,
                    "uid": job.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": spec,
    }


def _volumes(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = spec.get("volumes") or []
    if any(volume.get("name") == TOKEN_VOLUME for volume in volumes):
        raise InvalidSpec(
            "spec.template.spec.volumes", f"the name {TOKEN_VOLUME!r} is the operator's", "any other name"
        )
    return volumes


def _mounts(job: ResumableJob, container: Mapping[str, Any]) -> list[dict[str, Any]]:
    ours: list[dict[str, Any]] = [{"name": TOKEN_VOLUME, "mountPath": str(TOKEN_FILE.parent), "readOnly": True}]
    if job.spec.checkpoints:
        volume = job.spec.checkpoints.volume
        if not any(mount.get("name") == volume.name for mount in container.get("volumeMounts") or []):
            ours.append({"name": volume.name, "mountPath": volume.path})
    return ours


def _environment(container: Mapping[str, Any], ours: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ours come first, so that the user's may refer to them as $(RESUMABLE_…).

    The user's of the same name are left out.
    """
    taken = {variable["name"] for variable in ours}
    return [*ours, *(variable for variable in container.get("env") or [] if variable.get("name") not in taken)]


def _ours(job: ResumableJob, attempt: int, nonce: str, store_url: str) -> list[dict[str, Any]]:
    checkpoints = job.spec.checkpoints
    environment = WorkerEnvironment(
        store_url=store_url,
        fence=Fence(job.uid, attempt, nonce),
        grace=timedelta(seconds=job.grace_seconds),
        token_file=TOKEN_FILE,
        checkpoint_dir=Path(checkpoints.volume.path) if checkpoints else None,
    )
    uid = {"name": POD_UID, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    return [*({"name": name, "value": value} for name, value in environment.variables().items()), uid]


def _token_volume() -> dict[str, Any]:
    token = {"path": TOKEN_FILE.name, "audience": names.TOKEN_AUDIENCE, "expirationSeconds": TOKEN_EXPIRATION_SECONDS}
    return {"name": TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}
