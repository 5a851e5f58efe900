"""From a Kubernetes Pod to what the decisions know of it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from resumable.lifecycle.pod import Blocked, ContainerEnd, Disruption, Pod
from resumable.resource import names
from resumable.resource.template import ANNOTATION_WORKER_CONTAINER

# Every container passes through these; any other reason to wait is trouble.
_ORDINARY_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})

_MESSAGE_LIMIT = 300

Object = Mapping[str, Any]


def pod_snapshot(pod: Object) -> Pod | None:
    """The pod as `lifecycle` sees it; None when its labels don't say which attempt it is (somebody changed them)."""
    metadata = pod["metadata"]
    labels: dict[str, str] = metadata.get("labels") or {}
    annotations: dict[str, str] = metadata.get("annotations") or {}
    attempt = labels.get(names.LABEL_ATTEMPT, "")
    if not attempt.isdigit():
        return None
    status: Object = pod.get("status") or {}
    end = _end(status, worker_name(pod))
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        attempt=int(attempt),
        run_id=_owner_uid(metadata),
        nonce_hash=annotations.get(names.ANNOTATION_NONCE_HASH, ""),
        phase=status.get("phase") or "Pending",
        created=_instant(metadata["creationTimestamp"]),
        node=(pod.get("spec") or {}).get("nodeName") or "",
        template_hash=annotations.get(names.ANNOTATION_TEMPLATE_HASH, ""),
        tracked=names.FINALIZER in (metadata.get("finalizers") or []),
        deleting_since=_deleting_since(metadata),
        disruption=_disruption(status, end),
        blocked=_blocked(status),
        end=end,
        status_reason=status.get("reason") or "",
        status_message=_cut(status.get("message") or ""),
        labels=labels,
    )


def worker_name(pod: Object) -> str:
    """The name of the container that runs the worker."""
    annotations = pod["metadata"].get("annotations") or {}
    named = annotations.get(ANNOTATION_WORKER_CONTAINER)
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    return named or containers[0].get("name") or ""


def _owner_uid(metadata: Object) -> str:
    """The UID of the job that owns the pod: the run's id. Not the label, which anybody may put on any pod."""
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("kind") == names.KIND and str(owner.get("apiVersion")).startswith(f"{names.GROUP}/"):
            return str(owner["uid"])
    return ""


def _deleting_since(metadata: Object) -> datetime | None:
    """When the deletion was asked for; `deletionTimestamp` is when its grace is over."""
    if not (over := metadata.get("deletionTimestamp")):
        return None
    return _instant(over) - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)


def _disruption(status: Object, end: ContainerEnd | None) -> Disruption | None:
    condition = _condition(status, "DisruptionTarget")
    if condition is None or condition.get("status") != "True":
        return None
    since = condition.get("lastTransitionTime")
    if since and end and end.finished and _instant(since) > end.finished:
        return None  # a drain also evicts pods that have long ended; it is not why they did
    return Disruption(condition.get("reason") or "", _cut(condition.get("message") or ""))


def _blocked(status: Object) -> Blocked | None:
    if (status.get("phase") or "Pending") not in ("Pending", "Running"):
        return None
    for container in _containers(status):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if (waiting.get("reason") or "") not in _ORDINARY_WAITS:
            return Blocked(waiting["reason"], _cut(waiting.get("message") or ""))
    scheduled = _condition(status, "PodScheduled")
    if scheduled and scheduled.get("status") == "False":
        return Blocked(scheduled.get("reason") or "Unschedulable", _cut(scheduled.get("message") or ""))
    return None


def _end(status: Object, worker: str) -> ContainerEnd | None:
    """The end of the worker's container, or of the init container that kept it from starting."""
    for container in status.get("containerStatuses") or []:
        if container.get("name") == worker and (terminated := (container.get("state") or {}).get("terminated")):
            return _container_end(terminated)
    for container in status.get("initContainerStatuses") or []:
        terminated = (container.get("state") or {}).get("terminated")
        if terminated and terminated.get("exitCode"):
            return _container_end(terminated)
    return None


def _container_end(terminated: Object) -> ContainerEnd:
    code = int(terminated.get("exitCode") or 0)
    # `signal` is in the API but the kubelet hardly ever fills it: a shell's convention tells as much.
    signal = terminated.get("signal") or (code - 128 if 128 < code <= 128 + 64 else None)
    return ContainerEnd(
        exit_code=code,
        reason=terminated.get("reason") or "",
        message=_last_line(terminated.get("message") or ""),
        signal=signal,
        started=_instant(terminated["startedAt"]) if terminated.get("startedAt") else None,
        finished=_instant(terminated["finishedAt"]) if terminated.get("finishedAt") else None,
    )


def _containers(status: Object) -> Iterable[Object]:
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def _condition(status: Object, kind: str) -> Object | None:
    return next((c for c in status.get("conditions") or [] if c.get("type") == kind), None)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _cut(lines[-1]) if lines else ""


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else text[: _MESSAGE_LIMIT - 1] + "…"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
