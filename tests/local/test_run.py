"""`resumable run`: real processes, killed in every way. The judge is the effect log, not our own record."""

import os
import signal
from itertools import pairwise

from tests.local.conftest import LocalRun

ALL_ROWS = list(range(1, 31))


def test_a_job_runs_through(local: LocalRun) -> None:
    output = local.run("--set", "input.pace=0.001")
    assert "count succeeded: 30" in output
    assert len(local.effects("first")) == 1
    assert local.rows() == ALL_ROWS


def test_a_killed_worker_is_replaced_and_finished_steps_stay_finished(local: LocalRun) -> None:
    run = local.start_run()
    os.kill(local.worker_at_row(10), signal.SIGKILL)
    output = local.finish(run)
    assert len(local.effects("first")) == 1
    assert sorted(set(local.rows())) == ALL_ROWS
    assert len(local.rows()) <= len(ALL_ROWS) + 1, "only the row between its effect and its save may come twice"
    assert "killed by SIGKILL" in output


def test_a_crash_is_followed_by_the_back_off(local: LocalRun) -> None:
    run = local.start_run("--set", "backoff.initialSeconds=2")
    os.kill(local.worker_at_row(3), signal.SIGKILL)
    local.finish(run)
    [pause] = pauses_between_workers(local)
    assert pause >= 2


def test_an_interruption_is_followed_by_no_back_off(local: LocalRun) -> None:
    run = local.start_run("--set", "backoff.initialSeconds=100")
    os.kill(local.worker_at_row(3), signal.SIGTERM)
    local.finish(run)
    [pause] = pauses_between_workers(local)
    assert pause < 50, "a slow machine takes seconds to start a worker, the back-off would be 100"


def test_a_worker_that_is_asked_to_leave_saves_first_and_no_row_comes_twice(local: LocalRun) -> None:
    run = local.start_run()
    os.kill(local.worker_at_row(10), signal.SIGTERM)
    local.finish(run)
    assert local.rows() == ALL_ROWS
    assert len({effect["pid"] for effect in local.effects()}) == 2


def test_a_worker_outlives_a_killed_backend_and_the_next_one_takes_it_over(local: LocalRun) -> None:
    first = local.start_run()
    worker = local.worker_at_row(5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert local.worker_at_row(8) == worker, "it goes on without a backend"
    output = local.run()
    assert "count succeeded: 30" in output
    assert local.rows() == ALL_ROWS
    assert {effect["pid"] for effect in local.effects()} == {worker}


def test_a_worker_that_died_while_no_backend_looked_is_counted_by_the_next_one(local: LocalRun) -> None:
    first = local.start_run()
    worker = local.worker_at_row(5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    os.kill(worker, signal.SIGKILL)
    output = local.run()
    assert "killed by SIGKILL" in output
    assert sorted(set(local.rows())) == ALL_ROWS


def test_ctrl_c_saves_and_leaves_and_the_same_command_goes_on(local: LocalRun) -> None:
    run = local.start_run()
    local.worker_at_row(10)
    run.send_signal(signal.SIGINT)
    output = local.finish(run, expected=75)
    assert "count is saved and stopped. The same command goes on from there." in output
    saved = len(local.rows())
    assert 10 <= saved < 30
    assert "count succeeded" in local.run()
    assert local.rows() == ALL_ROWS


def test_suspend_in_the_manifest_starts_nothing(local: LocalRun) -> None:
    local.run("--set", "suspend=true", expected=75)
    assert local.effects() == []
    local.run("--set", "input.pace=0.001")
    assert local.rows() == ALL_ROWS


def test_a_changed_template_is_rolled_out(local: LocalRun) -> None:
    first = local.start_run()
    local.worker_at_row(5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    local.write_manifest(env=[{"name": "FLAVOUR", "value": "new"}])
    local.run()
    assert local.rows() == ALL_ROWS
    flavours = [effect["flavour"] for effect in local.effects("row")]
    assert flavours[0] is None
    assert flavours[-1] == "new"


def test_two_runs_of_the_same_job_at_once_are_refused(local: LocalRun) -> None:
    first = local.start_run()
    local.worker_at_row(1)
    output = local.run(expected=2)
    assert f"already looked after by another `resumable run` (process {first.pid})" in output
    local.finish(first)
    assert local.rows() == ALL_ROWS


def test_a_job_that_fails_again_and_again_is_given_up_after_its_limit(local: LocalRun) -> None:
    output = local.run("--set", "input.fails=true", "--set", "backoffLimit=1", expected=1)
    assert len(local.effects("fail")) == 2
    assert len(local.effects("first")) == 1
    assert pauses_between_workers(local)[0] >= 1
    assert "count failed: BackoffLimitExceeded" in output
    assert "the disk is on fire" in output


def test_an_input_that_does_not_fit_fails_at_once(local: LocalRun) -> None:
    output = local.run("--set", "input.total=many", expected=1)
    assert "InvalidInput" in output
    assert "total" in output
    assert local.effects() == []


def test_a_finished_job_is_not_done_again_unless_it_is_asked_for(local: LocalRun) -> None:
    local.run("--set", "input.pace=0.001")
    assert "count succeeded: 30" in local.run("--set", "input.pace=0.001")
    assert local.rows() == ALL_ROWS
    local.run("--set", "input.pace=0.001", "--fresh")
    assert local.rows() == ALL_ROWS * 2


def test_a_job_that_runs_is_not_forgotten(local: LocalRun) -> None:
    first = local.start_run()
    local.worker_at_row(5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert "its worker still runs" in local.run("--fresh", expected=2)
    local.run()
    assert local.rows() == ALL_ROWS


def test_list_and_describe_show_what_happened(local: LocalRun) -> None:
    run = local.start_run()
    os.kill(local.worker_at_row(10), signal.SIGTERM)
    local.finish(run)
    listed = local.finish(local.start("list"))
    assert "count" in listed
    assert "Succeeded" in listed
    described = local.finish(local.start("describe", "count"))
    lines = [line.split() for line in described.splitlines()]
    assert ["first", "Succeeded", "1"] in [line[:3] for line in lines]
    assert ["rows", "Succeeded", "2"] in [line[:3] for line in lines]
    assert ["1", "count-r1", "75"] in [[*line[:2], *line[3:4]] for line in lines]


def pauses_between_workers(local: LocalRun) -> list[float]:
    """Seconds between a worker's last effect and the next worker's first."""
    effects = local.effects()
    pairs = pairwise(effects)
    return [later["at"] - earlier["at"] for earlier, later in pairs if earlier["pid"] != later["pid"]]
