"""Waits, restarts and forks without a cluster: no process while a run waits, and the commands that move it on."""

import json
import time

import pytest
import yaml

from tests.local.conftest import LocalRun
from tests.local.deadlines import until

JOB = """
import json, os
from dataclasses import dataclass
from resumable import Job, job


def effect(what, **more):
    log = os.open(os.environ["EFFECT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, (json.dumps({"what": what, "pid": os.getpid(), **more}) + "\\n").encode())
    os.close(log)


@dataclass
class Approval:
    granted: bool


@job("ask", version="1")
def ask(j: Job, sleep: str = "") -> str:
    j.step("prepare", effect, "prepare")
    if sleep:
        j.sleep("cool-down", sleep, hold="0s")
    else:
        answer = j.wait("approval", Approval, hold="0s")
        j.step("note", effect, "answer", granted=answer.payload.granted, sender=answer.sender)
    j.step("report", effect, "report")
    return "done"


if __name__ == "__main__":
    ask.main()
"""


@pytest.fixture
def asks(local: LocalRun) -> LocalRun:
    (local.folder / "ask.py").write_text(JOB)
    local.write_manifest(command=["python", "ask.py"])
    return local


def living(asks: LocalRun) -> list[str]:
    return [pod.name for pod in asks.processes.list("count") if not pod.terminal]


def command(asks: LocalRun, *arguments: str, expected: int = 0) -> str:
    return asks.finish(asks.start(*arguments), expected)


def describe(asks: LocalRun) -> str:
    return command(asks, "describe", "count")


def test_no_process_is_kept_for_a_wait_and_a_signal_starts_one(asks: LocalRun) -> None:
    run = asks.start_run()
    until(lambda: asks.effects("prepare") and not living(asks), "the worker left to wait")
    until(lambda: "Waiting" in describe(asks), "the record says that it waits")
    assert run.poll() is None, "`resumable run` waits with it"
    sent = command(asks, "signal", "count", "approval", "--payload", '{"granted": true}', "--id", "yes-1")
    assert "sent approval to count (id yes-1)" in sent
    output = asks.finish(run)

    assert "Send it: resumable signal count approval --payload JSON" in output
    assert output.count("Send it:") == 1
    assert 'count succeeded: "done"' in output
    [answer] = asks.effects("answer")
    assert answer["granted"] is True
    assert "@" in answer["sender"]
    assert len(asks.effects("prepare")) == 1
    assert "76" in output
    again = command(asks, "signal", "count", "approval", "--id", "yes-1")
    assert "nothing was sent" in again
    assert "count is over (Succeeded)" in command(asks, "signal", "count", "approval", expected=1)


def test_a_signal_may_be_sent_while_nothing_looks_after_the_run(asks: LocalRun) -> None:
    run = asks.start_run()
    until(lambda: asks.effects("prepare") and not living(asks), "the worker left to wait")
    run.send_signal(2)
    assert "saved and stopped" in asks.finish(run, expected=75)
    assert "kept until a wait takes it" in command(
        asks, "signal", "count", "approval", "--payload", '{"granted": false}'
    )
    assert "count succeeded" in asks.run()
    assert asks.effects("answer")[0]["granted"] is False


def test_a_timer_starts_the_next_process_in_time(asks: LocalRun) -> None:
    started = time.monotonic()
    output = asks.run("--set", "input.sleep=3s")
    assert time.monotonic() - started >= 3
    assert "TimerDue" in output
    assert len({effect["pid"] for effect in asks.effects()}) == 2


def test_a_payload_that_is_no_json_is_a_usage_error(asks: LocalRun) -> None:
    asks.run("--set", "input.sleep=1ms")
    output = command(asks, "signal", "count", "approval", "--payload", "yes", expected=2)
    assert "--payload 'yes' is not JSON" in output


def test_restart_in_the_manifest_runs_a_finished_job_again_from_a_step(asks: LocalRun) -> None:
    asks.run("--set", "input.sleep=1ms")
    again = ("--set", "input.sleep=1ms", "--set", "restart.requestID=monday", "--set", "restart.fromStep.name=report")
    for _ in range(2):  # the second time it was carried out already
        asks.run(*again)
    assert [effect["what"] for effect in asks.effects()] == ["prepare", "report", "report"]

    wrong = ("--set", "input.sleep=1ms", "--set", "restart.requestID=x", "--set", "restart.fromStep.name=reprot")
    output = asks.run(*wrong)
    assert "the run has no step 'reprot'; its steps are prepare, cool-down, report" in output


def test_restart_on_the_command_line(asks: LocalRun) -> None:
    asks.run("--set", "input.sleep=1ms")
    assert "count starts again" in command(asks, "restart", "count", "--forget", "prepare", "--request-id", "1")
    asks.run("--set", "input.sleep=1ms")
    assert [effect["what"] for effect in asks.effects()] == ["prepare", "report", "prepare"]
    assert "nothing was changed" in command(asks, "restart", "count", "--request-id", "1")
    wrong = command(asks, "restart", "count", "--from-step", "reprot", expected=1)
    assert "reprot" in wrong
    assert "prepare, cool-down, report" in wrong


def test_a_fork_begins_with_the_history_up_to_a_step(asks: LocalRun) -> None:
    asks.run("--set", "input.sleep=1ms")
    output = command(asks, "fork", "count", "default/other", "--up-to", "cool-down")
    assert "run default/other begins with 2 done steps of default/count" in output
    manifest = yaml.safe_load((asks.folder / "job.yaml").read_text())
    manifest["metadata"]["name"] = "other"
    (asks.folder / "job.yaml").write_text(json.dumps(manifest))
    asks.run("--set", "input.sleep=1ms")
    assert [effect["what"] for effect in asks.effects()] == ["prepare", "report", "report"]
    assert "there is a run 'default/other' already" in command(asks, "fork", "count", "default/other", expected=2)


def test_a_record_whose_time_is_over_is_not_taken_for_a_lost_one(asks: LocalRun) -> None:
    (asks.folder / "ask.py").write_text(JOB.replace('version="1"', 'version="1", keep="1ms"'))
    asks.run("--set", "input.sleep=1ms")
    again = asks.run("--set", "input.sleep=1ms")
    assert "Succeeded earlier; its record was removed when its time was over." in again
    assert [effect["what"] for effect in asks.effects()] == ["prepare", "report"]
    asks.run("--set", "input.sleep=1ms", "--fresh")
    assert [effect["what"] for effect in asks.effects()] == ["prepare", "report"] * 2
