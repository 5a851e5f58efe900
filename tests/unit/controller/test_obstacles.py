"""What keeps a pod from being created: told once, waited for longer each time, forgotten when the job changes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from resumable.controller.obstacles import Obstacles
from resumable.resource.job import parse_job

Object = dict[str, Any]


def test_the_wait_grows_up_to_a_minute(job_object: Object) -> None:
    job, obstacles = parse_job(job_object), Obstacles()
    waits = []
    for _ in range(10):
        obstacles.met(job, "QuotaExceeded", "no room")
        wait = obstacles.wait(job)
        assert wait is not None
        waits.append(round(wait.total_seconds()))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_the_same_obstacle_is_news_once(job_object: Object) -> None:
    job, obstacles = parse_job(job_object), Obstacles()
    assert obstacles.met(job, "QuotaExceeded", "no room for 1")
    assert not obstacles.met(job, "QuotaExceeded", "no room for 2")
    assert obstacles.met(job, "PodNameTaken", "by another")


def test_a_changed_job_is_tried_at_once(job_object: Object) -> None:
    job, obstacles = parse_job(job_object), Obstacles()
    obstacles.met(job, "QuotaExceeded", "no room")
    assert obstacles.wait(replace(job, generation=2)) is None


def test_what_worked_is_no_obstacle_any_more(job_object: Object) -> None:
    job, obstacles = parse_job(job_object), Obstacles()
    obstacles.met(job, "QuotaExceeded", "no room")
    obstacles.cleared(job.uid)
    assert (obstacles.of(job), obstacles.wait(job)) == (None, None)
    obstacles.met(job, "QuotaExceeded", "no room")
    wait = obstacles.wait(job)
    assert wait is not None
    assert wait <= timedelta(seconds=1)


def test_the_condition_says_why_in_the_api_server_s_words(job_object: Object) -> None:
    job, obstacles = parse_job(job_object), Obstacles()
    obstacles.met(job, "QuotaExceeded", "exceeded quota: q")
    obstacle = obstacles.of(job)
    assert obstacle is not None
    condition = obstacle.condition
    assert (condition.type, condition.status, condition.reason) == ("Running", False, "QuotaExceeded")
    assert condition.message == "exceeded quota: q"
