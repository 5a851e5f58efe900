"""What the API server thinks of a job's pod, before anything depends on it.

The template is opaque to the resource's schema, so nobody has checked it when the job is applied. A dry-run create goes
through all admission (Pod Security, quotas, webhooks) and validation, and its answer is the best error message there
is.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from resumable.controller.kubernetes_api import ApiError, Conflict, KubernetesApi
from resumable.controller.pod_manifest import pod_manifest
from resumable.resource.invalid import InvalidSpec
from resumable.resource.job import ResumableJob

_PLACEHOLDER_NONCE = "0" * 32

_FIRST_RETRY, _LAST_RETRY = timedelta(seconds=1), timedelta(minutes=1)
_FRESH = timedelta(seconds=5)


class RefusalKind(StrEnum):
    """Why a pod can't be created; the value is a condition's reason."""

    TEMPLATE = "InvalidTemplate"  # wrong in itself, until somebody changes it
    FORBIDDEN = "PodForbidden"  # against a rule of the cluster: Pod Security, a webhook; the rule may change as well
    QUOTA = "QuotaExceeded"  # room may come at any time
    NAMESPACE = "NamespaceTerminating"  # the job will be deleted any moment
    ACCOUNT = "ServiceAccountNotFound"  # in a namespace that was made just now "default" comes a moment later
    LATER = "PodCreationFailed"  # too many requests, an admission webhook that is down


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server would not create the pod. `message` is its own sentence."""

    kind: RefusalKind
    message: str

    @property
    def of_template(self) -> bool:
        """Whether the job as it is written can't run here, as opposed to not now."""
        return self.kind in (RefusalKind.TEMPLATE, RefusalKind.FORBIDDEN)


def refusal(error: ApiError) -> Refusal:
    """What it means that the API server answered so to the create of a pod."""
    if error.status in (400, 422):
        return Refusal(RefusalKind.TEMPLATE, error.message)
    if error.status == 403:
        return Refusal(_forbidden(error.message), error.message)
    return Refusal(RefusalKind.LATER, error.message)


def _forbidden(message: str) -> RefusalKind:
    """All are "Forbidden"; the sentences of these plugins have not changed since they exist."""
    if "exceeded quota" in message or "failed quota" in message:
        return RefusalKind.QUOTA
    if "because it is being terminated" in message:
        return RefusalKind.NAMESPACE
    if "error looking up service account" in message:
        return RefusalKind.ACCOUNT
    return RefusalKind.FORBIDDEN


async def try_pod(api: KubernetesApi, job: ResumableJob, attempt: int, *, store_url: str) -> Refusal | None:
    """Whether the pod of `attempt` could be created now. None: it could. Raises `ApiUnavailable`."""
    try:
        manifest = pod_manifest(job, attempt, _PLACEHOLDER_NONCE, store_url=store_url)
        await api.create_pod(job.namespace, manifest, dry_run=True)
    except InvalidSpec as error:
        return Refusal(RefusalKind.TEMPLATE, str(error))
    except Conflict:
        return None  # it went through admission and validation; that the name is taken is found out by the create
    except ApiError as error:
        return refusal(error)
    return None


@dataclass(frozen=True, slots=True)
class _Verdict:
    generation: int
    refusal: Refusal | None
    times: int  # how often in a row it was refused
    at: float  # monotonic

    @property
    def age(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self.at)

    @property
    def retry_after(self) -> timedelta:
        return min(_FIRST_RETRY * (1 << min(self.times - 1, 10)), _LAST_RETRY)


class TemplateVerdicts:
    """One verdict for each generation of each job. A refusal is tried again: the cluster's rules may change as well."""

    def __init__(self, api: KubernetesApi, *, store_url: str) -> None:
        self._api = api
        self._store_url = store_url
        self._verdicts: dict[str, _Verdict] = {}

    async def of_job(self, job: ResumableJob) -> Refusal | None:
        """Why this job's template can't become a pod here, or None. A full quota is not the template's fault."""
        known = self._of_generation(job)
        if known and (known.refusal is None or not known.refusal.of_template):
            return None
        if known and known.age < known.retry_after:
            return known.refusal
        answer = await self._try(job, 0)  # no attempt has the number 0, so the name is free
        return answer if answer and answer.of_template else None

    async def before_mint(self, job: ResumableJob, attempt: int) -> Refusal | None:
        """Why the pod of `attempt` can't be created right now, or None. Not asked again when it was asked just now."""
        known = self._of_generation(job)
        if known and known.refusal is None and known.age < _FRESH:
            return None
        return await self._try(job, attempt)

    def retry_after(self, job: ResumableJob) -> timedelta:
        """When a refused template is to be tried again."""
        known = self._of_generation(job)
        return max(known.retry_after - known.age, _FIRST_RETRY) if known else _FIRST_RETRY

    def forget(self, uid: str) -> None:
        """The job is gone."""
        self._verdicts.pop(uid, None)

    def _of_generation(self, job: ResumableJob) -> _Verdict | None:
        known = self._verdicts.get(job.uid)
        return known if known and known.generation == job.generation else None

    async def _try(self, job: ResumableJob, attempt: int) -> Refusal | None:
        answer = await try_pod(self._api, job, attempt, store_url=self._store_url)
        before = self._of_generation(job)
        times = (before.times if before else 0) + 1 if answer else 0
        self._verdicts[job.uid] = _Verdict(job.generation, answer, times, time.monotonic())
        return answer
