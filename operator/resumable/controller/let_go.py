"""Before an uninstallation: take our finalizers off all jobs and pods, so that no `kubectl delete` waits for ever.

The jobs, their pods and their records stay. A controller that is installed again goes on with them: it finds the
records by the jobs' UIDs, and counts the ends of pods that are still there.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from resumable.controller.cache import pod_key
from resumable.controller.kubernetes_api import Conflict, KubernetesApi, NotFound, Object
from resumable.controller.leadership import RETRY_SECONDS, Leadership
from resumable.controller.release import strip_job, strip_pod
from resumable.resource import names

# Longer than it takes to take the finalizers off and to delete the Deployment afterwards.
SEIZED_SECONDS = 60
_PASSES = 20


class StillHeld(Exception):
    """Something keeps putting our finalizer back: a controller without a Lease runs."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """How much was let go."""

    jobs: int
    pods: int


async def let_go(api: KubernetesApi, namespaces: tuple[str, ...], leadership: Leadership | None) -> LetGo:
    """Let everything go in these namespaces; (): in all. Raises `StillHeld`, `ApiError`, `ApiUnavailable`."""
    if leadership:
        await leadership.seize(SEIZED_SECONDS)
        await asyncio.sleep(2 * RETRY_SECONDS)  # the one that led notices when it next renews, and exits
    jobs = pods = 0
    for _ in range(_PASSES):
        held_jobs, held_pods = await _held(api, namespaces)
        if not held_jobs and not held_pods:
            return LetGo(jobs, pods)
        for job in held_jobs:
            jobs += await _stripped_job(api, job)
        for pod in held_pods:
            key = pod_key(pod)
            await strip_pod(api, key.namespace, pod["metadata"]["name"], pod["metadata"]["uid"])
            pods += 1
    raise StillHeld(
        f"{len(held_jobs)} jobs and {len(held_pods)} pods have our finalizer again: stop every controller first"
    )


async def _held(api: KubernetesApi, namespaces: tuple[str, ...]) -> tuple[list[Object], list[Object]]:
    jobs: list[Object] = []
    pods: list[Object] = []
    for namespace in namespaces or (None,):
        with suppress(NotFound):  # the definition is gone, and with it all jobs
            jobs += (await api.list_jobs(namespace))["items"]
        pods += (await api.list_pods(namespace))["items"]
    return [each for each in jobs if _is_held(each)], [each for each in pods if _is_held(each)]


def _is_held(obj: Object) -> bool:
    return names.FINALIZER in (obj["metadata"].get("finalizers") or [])


async def _stripped_job(api: KubernetesApi, job: Object) -> bool:
    try:
        await strip_job(api, job)
    except (Conflict, NotFound):  # Conflict: it changed; the next pass sees it
        return False
    return True
