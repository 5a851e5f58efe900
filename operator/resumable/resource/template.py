"""The pod template: opaque but for the few things that every part must agree on.

What else is in it is the API server's business: a dry-run create of the pod says what is wrong in the API server's own
words.
"""

import hashlib
import json
from typing import Any

from resumable.resource.invalid import InvalidSpec

DEFAULT_GRACE_SECONDS = 60

# Which container runs the job when the template has several: kubectl's own annotation, so that `kubectl logs` agrees.
ANNOTATION_WORKER_CONTAINER = "kubectl.kubernetes.io/default-container"


def template_hash(template: dict[str, Any]) -> str:
    """A hash of the canonical JSON: the same for the same content, however it was ordered or written."""
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def worker_container(template: dict[str, Any]) -> dict[str, Any]:
    """The container that runs the job: the one that the annotation names, else the first. For a checked template."""
    containers: list[dict[str, Any]] = template["spec"]["containers"]
    wanted = _annotations(template).get(ANNOTATION_WORKER_CONTAINER)
    return next((each for each in containers if each.get("name") == wanted), containers[0])


def grace_seconds(template: dict[str, Any]) -> int:
    """The seconds between SIGTERM and SIGKILL. Kubernetes' own default of 30 is short for a save; ours is 60."""
    grace = template["spec"].get("terminationGracePeriodSeconds")
    return DEFAULT_GRACE_SECONDS if grace is None else int(grace)


def check_template(template: dict[str, Any]) -> None:
    """Raise `InvalidSpec` for what would make the template useless before any API server sees it."""
    spec = template.get("spec")
    if not isinstance(spec, dict):
        raise InvalidSpec("spec.template.spec", "is missing", "a pod's spec, with at least one container")
    containers = spec.get("containers")
    if not isinstance(containers, list) or not containers:
        raise InvalidSpec("spec.template.spec.containers", "there is no container", "at least one")
    for index, container in enumerate(containers):
        if not isinstance(container, dict) or not isinstance(container.get("name"), str):
            raise InvalidSpec(f"spec.template.spec.containers[{index}].name", "is missing", "a name for each container")
    if spec.get("restartPolicy", "Never") != "Never":
        problem = f"{spec['restartPolicy']!r}: only the operator restarts a worker"
        raise InvalidSpec("spec.template.spec.restartPolicy", problem, "Never, or leave it out")
    grace = spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
    if not isinstance(grace, int) or isinstance(grace, bool) or grace < 0:
        raise InvalidSpec("spec.template.spec.terminationGracePeriodSeconds", f"{grace!r}", "whole seconds, 0 or more")
    wanted = _annotations(template).get(ANNOTATION_WORKER_CONTAINER)
    names = [container["name"] for container in containers]
    if wanted is not None and wanted not in names:
        field = f"spec.template.metadata.annotations[{ANNOTATION_WORKER_CONTAINER}]"
        raise InvalidSpec(field, f"there is no container {wanted!r}", ", ".join(names))


def _annotations(template: dict[str, Any]) -> dict[str, Any]:
    metadata = template.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return annotations if isinstance(annotations, dict) else {}
