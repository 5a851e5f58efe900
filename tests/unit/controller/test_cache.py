"""The cache keeps what is newest, whatever the order in which events and lists arrive."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from resumable.controller.cache import Cache, JobKey

Object = dict[str, Any]
KEY = JobKey("ml", "train")


@pytest.fixture
def pod_object() -> Callable[..., Object]:
    def make(attempt: int, version: int, uid: str | None = None, phase: str = "Running") -> Object:
        return {
            "metadata": {
                "name": f"train-r{attempt}",
                "namespace": "ml",
                "uid": uid or f"pod-{attempt}",
                "resourceVersion": str(version),
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"resumable.dev/job-name": "train", "resumable.dev/attempt": str(attempt)},
            },
            "spec": {"containers": [{"name": "main"}]},
            "status": {"phase": phase},
        }

    return make


def at_version(obj: Object, version: int) -> Object:
    changed = deepcopy(obj)
    changed["metadata"]["resourceVersion"] = str(version)
    return changed


def test_an_older_event_does_not_replace_what_is_known(job_object: Object, pod_object: Callable[..., Object]) -> None:
    cache = Cache()
    assert cache.see_pod(pod_object(1, 20, phase="Failed"))
    assert not cache.see_pod(pod_object(1, 10, phase="Running"))
    assert cache.pods(KEY)[0].phase == "Failed"
    assert cache.see_job(at_version(job_object, 20))
    assert not cache.see_job(at_version(job_object, 19))
    assert not cache.see_job(at_version(job_object, 20))


def test_a_new_job_of_the_same_name_is_not_replaced_by_late_news_of_the_old_one(job_object: Object) -> None:
    cache = Cache()
    cache.see_job(at_version(job_object, 20))
    other = at_version(job_object, 30)
    other["metadata"]["uid"] = "another"
    assert cache.see_job(other)
    assert not cache.see_job(at_version(job_object, 25))  # a GET that was slow to arrive
    cache.forget_job(at_version(job_object, 28))
    known = cache.job(KEY)
    assert known is not None
    assert known["metadata"]["uid"] == "another"
    assert cache.latest(job_object) == job_object
    assert cache.latest(at_version(other, 1)) == known


def test_a_list_removes_what_is_not_in_it_and_names_what_changed(
    job_object: Object, pod_object: Callable[..., Object]
) -> None:
    cache = Cache()
    cache.see_job(at_version(job_object, 10))
    cache.see_pod(pod_object(1, 11))
    cache.begin_listing()
    assert cache.replace([at_version(job_object, 10)], 50, [], 50) == {KEY}
    assert cache.pods(KEY) == ()
    cache.begin_listing()
    assert cache.replace([at_version(job_object, 10)], 60, [], 60) == set()
    cache.begin_listing()
    assert cache.replace([], 70, [], 70) == {KEY}
    assert cache.job(KEY) is None


def test_what_is_newer_than_the_list_stays(pod_object: Callable[..., Object]) -> None:
    cache = Cache()
    cache.begin_listing()
    cache.see_pod(pod_object(2, 55))  # created after the list was made, told before it arrived
    assert cache.replace([], 50, [], 50) == set()
    assert [pod.attempt for pod in cache.pods(KEY)] == [2]


def test_what_was_deleted_while_the_list_was_under_way_does_not_come_back(pod_object: Callable[..., Object]) -> None:
    cache = Cache()
    cache.see_pod(pod_object(1, 40))
    cache.begin_listing()
    cache.forget_pod(pod_object(1, 51))
    assert cache.replace([], 50, [pod_object(1, 40)], 50) == set()
    assert cache.pods(KEY) == ()


def test_pods_come_in_the_order_of_their_attempts(pod_object: Callable[..., Object]) -> None:
    cache = Cache()
    for attempt in (10, 2, 1):
        cache.see_pod(pod_object(attempt, 5 + attempt))
    assert [pod.attempt for pod in cache.pods(KEY)] == [1, 2, 10]


def test_a_pod_without_our_attempt_label_is_not_taken_for_an_attempt(pod_object: Callable[..., Object]) -> None:
    cache = Cache()
    stranger = pod_object(1, 5)
    del stranger["metadata"]["labels"]["resumable.dev/attempt"]
    assert not cache.see_pod(stranger)
    assert cache.pods(KEY) == ()
