"""One job, disturbed again and again, in every way that Kubernetes and people have, at random moments."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.cluster import Cluster, ClusterError, CommandFailed
from tests.e2e.installed import CONTROLLER, STATE, Installed
from tests.e2e.resumable_job import ResumableJob
from tests.e2e.rows_job import EVERY, ROWS, rows_manifest, start_rows

_SEED = random.SystemRandom().randrange(1 << 32)
DISTURBANCES = 16

# Each lets the worker save, or not; the next disturbance may come before this one has had its effect.
GENTLE = ("evict", "delete", "suspend and resume", "roll out", "kill the controller", "kill the state service")
BRUTAL = ("kill", "delete without grace")


@pytest.mark.timeout(400, func_only=True)
def test_a_job_that_is_disturbed_again_and_again_ends_as_if_nothing_had_happened(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    print(f"disturbances by random seed {_SEED}")
    rng = random.Random(_SEED)
    job = start_rows(
        cluster,
        namespace,
        "tormented",
        backoffLimit=DISTURBANCES,
        backoff={"initialSeconds": 1, "maxSeconds": 1},
        interruptions={"maxWithoutProgress": DISTURBANCES},
    )
    brutal = 0
    for number in range(DISTURBANCES):
        what = rng.choice([*GENTLE, *BRUTAL])
        time.sleep(rng.uniform(0, 2.5))  # the moment is the point
        done = disturb(job, installed, what, release=str(number))
        print(f"{what}: {'done' if done else 'there was nothing to disturb'}")
        brutal += done and what in BRUTAL
    job.patch({"suspend": False})
    job.log.hurry()
    job.wait_complete(timedelta(seconds=120))

    # Whatever ended an attempt, it lost no more than what came after its last save.
    ended = job.status["attempt"] - 1
    job.log.check_no_row_missing(ROWS, repeated_at_most=EVERY * ended)
    assert job.counters["failures"] <= brutal
    assert job.log.effects("report")[0].attempt == job.status["attempt"]


def disturb(job: ResumableJob, installed: Installed, what: str, release: str) -> bool:
    """Do it; False when the pod that it is for is not there just now."""
    attempt: int = job.status.get("attempt") or 1
    disturbances: dict[str, Callable[[], None]] = {
        "evict": lambda: job.evict_pod(attempt),
        "delete": lambda: job.delete_pod(attempt),
        "suspend and resume": lambda: suspend_and_resume(job),
        "roll out": lambda: roll_out(job, release),
        "kill the controller": lambda: installed.process(CONTROLLER).kill(),
        "kill the state service": lambda: installed.process(STATE).kill(),
        "kill": lambda: job.kill(attempt),
        "delete without grace": lambda: job.delete_pod(attempt, grace_seconds=0),
    }
    try:
        disturbances[what]()
    except (CommandFailed, ClusterError, ProcessLookupError):
        return False
    return True


def suspend_and_resume(job: ResumableJob) -> None:
    """A person who changes their mind."""
    job.patch({"suspend": True})
    job.patch({"suspend": False})


def roll_out(job: ResumableJob, release: str) -> None:
    """`kubectl apply` of a changed template; the rest of the spec as it is."""
    template = rows_manifest(job.name, env={"RELEASE": release})["spec"]["template"]
    job.patch({"template": template})
