"""Take our finalizer off pods: those whose end is counted, and those whose job is gone."""

from collections.abc import Iterable

from resumable.controller.cache import Cache, JobKey
from resumable.controller.kubernetes_api import STRATEGIC_MERGE_PATCH, Conflict, KubernetesApi, NotFound
from resumable.lifecycle.pod import Pod
from resumable.resource import names


async def release_pod(api: KubernetesApi, cache: Cache, key: JobKey, name: str, uid: str) -> None:
    """Let the pod go. A strategic merge patch: finalizers that others put on it stay, whatever they are."""
    patch = {"metadata": {"uid": uid, "$deleteFromPrimitiveList/finalizers": [names.FINALIZER]}}
    try:
        released = await api.patch_pod(key.namespace, name, patch, STRATEGIC_MERGE_PATCH)
    except (NotFound, Conflict):  # it is gone; another pod may have its name now
        cache.forget_pod_uid(key, uid)
        return
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
