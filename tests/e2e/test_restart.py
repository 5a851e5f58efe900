"""`spec.restart`: a finished job runs again from a step, a running one is interrupted first, a wrong one says so."""

from __future__ import annotations

from tests.cluster import Cluster, wait_for
from tests.e2e.pod_watch import PodWatch
from tests.e2e.resumable_job import ResumableJob
from tests.e2e.rows_job import ROWS, start_rows


def restart(job: ResumableJob, request: str, **fields: object) -> None:
    nothing_else = {"fromStep": None, "forget": None}  # a merge patch keeps what the request before this one had
    job.patch({"restart": {"requestID": request, **nothing_else, **fields}})


def wait_observed(job: ResumableJob, request: str) -> None:
    def observed() -> bool:
        return bool(job.status.get("observedRestartID") == request)

    wait_for(observed, 60, "The request was not carried out", state=job.get)


def test_a_finished_job_runs_again_from_a_step_and_keeps_what_came_before_it(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "again")
    job.log.hurry()
    job.wait_complete()
    rows = job.log.rows()

    restart(job, "monday", fromStep={"name": "report"})
    wait_observed(job, "monday")
    job.log.wait_for(lambda log: log.count("report") == 2, "a second report")
    job.wait_complete()
    assert job.log.rows() == rows, "a step before the one that was named ran again"
    assert job.log.count("prepare") == 1
    assert job.status["attempt"] == 2

    restart(job, "tuesday", forget=[{"name": "prepare"}])
    wait_observed(job, "tuesday")
    job.wait_complete()
    assert [effect.name for effect in job.log.effects() if effect.attempt == 3] == ["prepare"]

    # Taken away (GitOps) or applied again it does nothing.
    job.patch({"restart": None})
    restart(job, "tuesday", forget=[{"name": "prepare"}])
    job.patch({"backoffLimit": 3})
    generation = job.get()["metadata"]["generation"]
    wait_for(lambda: job.status["observedGeneration"] == generation, 30, "The spec was not looked at")
    assert job.condition("Complete")["status"] == "True"
    assert job.pod(4) is None


def test_a_pod_that_runs_is_interrupted_first_and_the_job_starts_over(cluster: Cluster, namespace: str) -> None:
    with PodWatch(cluster, namespace) as watch:
        job = start_rows(cluster, namespace, "over")
        job.log.wait_for_rows(20, attempt=1)
        restart(job, "1", fromStep={"name": "prepare"})
        assert watch.wait_terminal(job.pod_name(1)).exit_code == 75
        job.log.wait_for_rows(1, attempt=2)
        job.log.hurry()
        job.wait_complete()

    assert job.log.rows(attempt=2) == list(range(1, ROWS + 1)), "it did not start over"
    assert job.log.count("prepare") == 2
    job.wait_causes("Restart", "Completed")
    assert (job.counters["failures"], job.counters["interruptions"]) == (0, 0)
    assert job.log.attempts() == [1, 2], "two attempts worked at the same time"


def test_a_failed_job_goes_on_with_new_budgets(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "failed", backoffLimit=0)
    job.log.wait_for_rows(20, attempt=1)
    job.kill(1)
    job.wait_condition("Failed")
    done = len(job.log.rows())

    restart(job, "1")
    job.log.wait_for_rows(1, attempt=2)
    job.wait_condition("Failed", "False")
    job.log.hurry()
    job.wait_complete()
    job.log.check_no_row_missing(ROWS, repeated_at_most=10)
    assert job.log.rows(attempt=2)[0] > done - 10, "it did not go on from the last save"


def test_a_step_that_is_not_there_is_named_beside_those_that_are_and_nothing_is_stopped(
    cluster: Cluster, namespace: str
) -> None:
    job = start_rows(cluster, namespace, "wrong")
    job.log.wait_for_rows(20, attempt=1)
    restart(job, "1", fromStep={"name": "import"})
    job.wait_condition("Accepted", "False")
    accepted = job.condition("Accepted")
    assert accepted["reason"] == "RestartStepNotFound"
    assert accepted["message"] == (
        "spec.restart.fromStep: the run has no step 'import'; its steps are prepare, import-rows"
    )
    job.log.hurry()
    job.wait_complete()
    job.log.check_each_row_once(ROWS)
    assert job.log.attempts() == [1]
