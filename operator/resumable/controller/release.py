"""Take our finalizer off: off pods whose end is counted or whose job is gone, off jobs that are done with."""

from collections.abc import Iterable

from resumable.controller.cache import Cache, JobKey
from resumable.controller.kubernetes_api import STRATEGIC_MERGE_PATCH, Conflict, KubernetesApi, NotFound, Object
from resumable.lifecycle.pod import Pod
from resumable.resource import names


async def strip_pod(api: KubernetesApi, namespace: str, name: str, uid: str) -> Object | None:
    """The pod without our finalizer; None: it is gone already.

    A strategic merge patch: finalizers that others put on it stay, whatever they are.
    """
    patch = {"metadata": {"uid": uid, "$deleteFromPrimitiveList/finalizers": [names.FINALIZER]}}
    try:
        return await api.patch_pod(namespace, name, patch, STRATEGIC_MERGE_PATCH)
    except (NotFound, Conflict):  # Conflict: another pod has its name now
        return None


async def strip_job(api: KubernetesApi, job: Object) -> None:
    """Raises `Conflict` when the job changed since it was read, `NotFound` when it is gone."""
    metadata = job["metadata"]
    kept = [each for each in metadata.get("finalizers") or [] if each != names.FINALIZER]
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": kept}}
    await api.patch_job(metadata["namespace"], metadata["name"], patch)


async def release_pod(api: KubernetesApi, cache: Cache, key: JobKey, name: str, uid: str) -> None:
    """Let the pod go, and know it."""
    released = await strip_pod(api, key.namespace, name, uid)
    if released is None:
        cache.forget_pod_uid(key, uid)
    else:
        cache.see_pod(released)


async def release_orphans(api: KubernetesApi, cache: Cache, key: JobKey, pods: Iterable[Pod], job_uid: str) -> None:
    """Let go of tracked pods whose owner is not the job `job_uid`, once a live read agrees.

    Their job was deleted without us (a finalizer taken off by hand); the garbage collector removes them, if we don't
    hold them.
    """
    orphans = [pod for pod in pods if pod.tracked and pod.run_id and pod.run_id != job_uid]
    if not orphans:
        return
    try:
        live = await api.get_job(*key)
    except NotFound:
        live = {"metadata": {"uid": ""}}
    else:
        cache.see_job(live)
    for pod in orphans:
        if pod.run_id != live["metadata"]["uid"]:
            await release_pod(api, cache, key, pod.name, pod.uid)
