"""Jobs that wait, as real processes: by hand, and as the operator starts them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resumable.sdk.exit_codes import ExitCode
from resumable.state.open import open_store
from resumable.state.record import Encoded, RunStatus
from resumable.state.store import NewSignal, Store
from tests.sdk.process import ROOT, Workplace, wait_for
from tests.sdk.worker_runs import RUN, create, mint, run_of
from tests.servers.state_service import ServiceProcess

YES = '{"granted": true, "comment": "fine"}'


def local_store(place: Workplace) -> Store:
    return open_store(f"sqlite:///{place.folder}/.resumable/state.db")


def send(place: Workplace, payload: str = YES, run: str = "approval") -> str:
    """As a person does."""
    sent = subprocess.run(
        [sys.executable, "-m", "resumable.cli.main", "signal", run, "approval", "--payload", payload],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert sent.returncode == 0, sent.stderr
    return sent.stdout


def test_by_hand_a_long_wait_ends_with_76_and_says_how_to_go_on(place: Workplace) -> None:
    first = place.run("approval")
    assert first.exit_code() == ExitCode.WAITING
    assert "step approval waits for the signal 'approval'" in first.log
    assert "send it (resumable signal approval approval --payload JSON), then start this again" in first.log
    again = place.run("approval")
    assert again.exit_code() == ExitCode.WAITING
    assert "run 'approval' waits for the signal 'approval'; send it (" in again.log
    assert place.effects() == ["asked", "left the wait"], "nothing ran"
    assert "it waits for that, and goes on" in send(place)
    last = place.run("approval")
    assert (last.exit_code(), last.output) == (ExitCode.DONE, '"granted"\n'), last.log
    assert place.effects() == ["asked", "left the wait", "left the wait", "acted: fine"]


def test_a_signal_reaches_a_process_that_holds(place: Workplace) -> None:
    process = place.start("approval", "--set", "hold=60s")
    process.wait_for_effect("asked")
    send(place)
    assert process.exit_code() == ExitCode.DONE, process.log
    assert place.effects() == ["asked", "left the wait", "acted: fine"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_while_it_holds_loses_no_signal(place: Workplace, number: signal.Signals) -> None:
    process = place.start("approval", "--set", "hold=60s")
    store_file = place.folder / ".resumable" / "state.db"
    wait_for(store_file.exists, "the store")
    store = local_store(place)
    wait_for(lambda: any(step.name == "approval" for step in store.list_steps("approval")), "the wait to begin")
    process.signal(number)
    assert process.exit_code() == (ExitCode.INTERRUPTED if number == signal.SIGTERM else -number)
    send(place)
    last = place.run("approval")
    assert (last.exit_code(), last.output) == (ExitCode.DONE, '"granted"\n'), last.log
    assert [each.consumed_by for each in store.list_signals("approval")] == ["approval"]
    store.close()


def test_the_time_that_is_over_ends_the_wait_also_without_a_process(place: Workplace) -> None:
    first = place.run("approval", "--set", "timeout=400ms")
    assert first.exit_code() == ExitCode.WAITING
    store = local_store(place)
    wake_at = next(run.wake_at for run in store.list_runs() if run.id == "approval")
    assert wake_at is not None
    wait_for(lambda: store.info().now >= wake_at, "the deadline")
    store.close()
    last = place.run("approval")
    assert (last.exit_code(), last.output) == (ExitCode.DONE, '"nobody"\n'), last.log
    assert place.effects() == ["asked", "left the wait", "gave up", "left the wait"]


def test_a_worker_of_the_operator_leaves_a_waiting_run_and_the_next_one_goes_on(
    place: Workplace, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    store = open_store(url)
    create(store, "approval", b'{"rest": "1h"}')
    first = place.run("approval", env=mint(store, url=url))
    assert first.exit_code() == ExitCode.WAITING, first.log
    assert (run_of(store).status, run_of(store).wake_on) == (RunStatus.WAITING, ("approval",))
    store.send_signal(RUN, NewSignal(id="1", name="approval", payload=Encoded("json", YES.encode()), sender="ann"))
    assert run_of(store).status is RunStatus.PENDING
    second = place.run("approval", env=mint(store, url=url))
    assert second.exit_code() == ExitCode.WAITING, second.log
    run = run_of(store)
    assert (run.status, run.reason, run.wake_on) == (RunStatus.WAITING, "TimerWait", ())
    assert run.wake_at is not None
    assert place.effects() == ["asked", "left the wait", "left the wait"]
    store.close()


def test_over_the_state_service_a_wait_is_held_left_and_woken(place: Workplace, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    service = ServiceProcess(url, tmp_path / "service.log")
    service.wait_until_ready()
    remote = open_store(service.url)
    create(remote, "approval", b'{"rest": "1h", "hold": "60s"}')
    process = place.start("approval", env=mint(remote, url=service.url))
    process.wait_for_effect("asked")
    remote.send_signal(RUN, NewSignal(id="1", name="approval", payload=Encoded("json", YES.encode()), sender="ann"))
    assert process.exit_code() == ExitCode.WAITING, process.log
    run = run_of(remote)
    assert (run.status, run.reason) == (RunStatus.WAITING, "TimerWait")
    assert [each.consumed_by for each in remote.list_signals(RUN)] == ["approval"]
    remote.close()
    service.kill()


def test_a_store_that_goes_away_while_a_wait_is_held_costs_only_time(place: Workplace, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    service = ServiceProcess(url, tmp_path / "service.log")
    service.wait_until_ready()
    store = open_store(url)
    create(store, "approval", b'{"hold": "60s"}')
    process = place.start("approval", env=mint(store, url=service.url))
    wait_for(lambda: any(step.name == "approval" for step in store.list_steps(RUN)), "the wait to begin")
    service.kill()
    wait_for(lambda: "no answer from the store" in process.log, "the worker to notice")
    store.send_signal(RUN, NewSignal(id="1", name="approval", payload=Encoded("json", YES.encode())))
    service = ServiceProcess(url, tmp_path / "service.log", port=service.port)
    service.wait_until_ready()
    assert process.exit_code() == ExitCode.DONE, process.log
    assert place.effects() == ["asked", "left the wait", "acted: fine"]
    store.close()
    service.kill()
