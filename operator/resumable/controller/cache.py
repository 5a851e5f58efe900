"""What the watch told us: the jobs, and each job's worker pods.

May be stale; whatever must not be is read live (`live_reads`).

Kept here rather than in kopf because, after a relist, kopf never reports what was deleted meanwhile; so `replace` takes
a whole list at intervals. Pods are kept as snapshots: ten thousand raw ones would not fit into the memory that a
controller should need.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from resumable.controller.pod_snapshot import pod_snapshot
from resumable.lifecycle.pod import Pod
from resumable.resource import names

Object = dict[str, Any]


class JobKey(NamedTuple):
    """Which job."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class _Entry:
    key: JobKey
    version: int
    job: Object | None = None
    pod: Pod | None = None


class Cache:
    """Jobs and pods by key, updated by events and by whole lists in any order.

    The higher resourceVersion wins (comparable by KEP-5504).
    """

    def __init__(self) -> None:
        self._jobs: dict[JobKey, _Entry] = {}
        self._pods: dict[JobKey, dict[str, _Entry]] = {}  # by the pod's UID
        self._gone_while_listing: set[str] | None = None

    def job(self, key: JobKey) -> Object | None:
        entry = self._jobs.get(key)
        return entry.job if entry else None

    def latest(self, job: Object) -> Object:
        """The newest that is known of this very job, never another one of its name."""
        known = self.job(job_key(job))
        return known if known and known["metadata"]["uid"] == job["metadata"]["uid"] else job

    def pods(self, key: JobKey) -> tuple[Pod, ...]:
        """The job's worker pods, by attempt."""
        found = [entry.pod for entry in self._pods.get(key, {}).values() if entry.pod]
        return tuple(sorted(found, key=lambda pod: (pod.attempt, pod.created)))

    def job_count(self) -> int:
        return len(self._jobs)

    def see_job(self, job: Object) -> bool:
        """Take the job in. False: nothing new."""
        entry = _job_entry(job)
        known = self._jobs.get(entry.key)
        if known and known.version >= entry.version:
            return False
        self._jobs[entry.key] = entry
        return True

    def forget_job(self, job: Object) -> None:
        """The job is gone from the API server."""
        self._note_gone(job)
        key = job_key(job)
        known = self._jobs.get(key)
        if known and known.job and known.job["metadata"]["uid"] == job["metadata"]["uid"]:
            del self._jobs[key]

    def see_pod(self, pod: Object) -> bool:
        """Take the pod in. False: nothing new, or not one of ours."""
        entry = _pod_entry(pod)
        if entry is None:
            return False
        known = self._pods.setdefault(entry.key, {}).get(pod["metadata"]["uid"])
        if known and known.version >= entry.version:
            return False
        self._pods[entry.key][pod["metadata"]["uid"]] = entry
        return True

    def forget_pod(self, pod: Object) -> None:
        """The pod is gone from the API server."""
        self._note_gone(pod)
        self.forget_pod_uid(pod_key(pod), pod["metadata"]["uid"])

    def forget_pod_uid(self, key: JobKey, uid: str) -> None:
        pods = self._pods.get(key, {})
        pods.pop(uid, None)
        if not pods:
            self._pods.pop(key, None)

    def begin_listing(self) -> None:
        """A list is about to be asked for: remember what goes meanwhile, as the list may still have it."""
        self._gone_while_listing = set()

    def replace(
        self, jobs: Iterable[Object], jobs_version: int, pods: Iterable[Object], pods_version: int
    ) -> set[JobKey]:
        """Take a whole list in.

        What is not in it is gone, unless it is newer than the list. Returns the keys where something changed.
        """
        gone, self._gone_while_listing = self._gone_while_listing or set(), None
        changed: set[JobKey] = set()
        listed: set[str] = set()
        for job in jobs:
            listed.add(job["metadata"]["uid"])
            if job["metadata"]["uid"] not in gone and self.see_job(job):
                changed.add(job_key(job))
        for pod in pods:
            listed.add(pod["metadata"]["uid"])
            if pod["metadata"]["uid"] not in gone and self.see_pod(pod):
                changed.add(pod_key(pod))
        for entry in list(self._jobs.values()):
            if entry.job and entry.job["metadata"]["uid"] not in listed and entry.version <= jobs_version:
                del self._jobs[entry.key]
                changed.add(entry.key)
        for entry in [entry for known in self._pods.values() for entry in known.values()]:
            if entry.pod and entry.pod.uid not in listed and entry.version <= pods_version:
                self.forget_pod_uid(entry.key, entry.pod.uid)
                changed.add(entry.key)
        return changed

    def keys(self) -> set[JobKey]:
        """Every job that exists, and every one that has pods left."""
        return set(self._jobs) | set(self._pods)

    def _note_gone(self, body: Object) -> None:
        if self._gone_while_listing is not None:
            self._gone_while_listing.add(body["metadata"]["uid"])


def job_key(job: Object) -> JobKey:
    return JobKey(job["metadata"]["namespace"], job["metadata"]["name"])


def pod_key(pod: Object) -> JobKey:
    """The job that a worker pod says it belongs to."""
    metadata = pod["metadata"]
    return JobKey(metadata["namespace"], (metadata.get("labels") or {}).get(names.LABEL_JOB_NAME, ""))


def _job_entry(job: Object) -> _Entry:
    metadata = {
        key: value for key, value in job["metadata"].items() if key != "managedFields"
    }  # the bulk of a small object
    return _Entry(job_key(job), int(metadata["resourceVersion"]), job={**job, "metadata": metadata})


def _pod_entry(pod: Object) -> _Entry | None:
    snapshot = pod_snapshot(pod)
    if snapshot is None:
        return None
    return _Entry(pod_key(pod), int(pod["metadata"]["resourceVersion"]), pod=snapshot)
