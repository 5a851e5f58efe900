"""A worker as the operator starts it: environment variables, a store of its own, an exit code that says how it went."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.sdk.exit_codes import ExitCode
from resumable.state.open import open_store
from resumable.state.record import RunStatus, StepStatus
from resumable.state.store import Store
from tests.sdk.process import Workplace, wait_for
from tests.sdk.worker_runs import RUN, create, mint, run_of
from tests.servers.state_service import ServiceProcess


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/run.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


def test_it_runs_its_attempt_and_ends_the_run(place: Workplace, store: Store, url: str) -> None:
    create(store, "import-rows", b'{"rows": 30}')
    process = place.run("import_rows", env=mint(store, url=url))
    assert process.exit_code() == ExitCode.DONE, process.log
    run = run_of(store)
    assert (run.status, run.code_version) == (RunStatus.SUCCEEDED, "1")
    assert run.result is not None
    assert run.result.data == b"435"
    assert process.output == "", "standard output is the author's"
    assert [step.name for step in store.list_steps(RUN)] == ["create-table", "import", "total"]


def test_sigterm_in_a_step_saves_and_leaves_and_the_next_attempt_goes_on(
    place: Workplace, store: Store, url: str
) -> None:
    create(store, "import-rows", b'{"rows": 150, "pause": 0.01}')
    first = place.start("import_rows", env=mint(store, url=url))
    first.wait_for_effect("row 20")
    first.signal(signal.SIGTERM)
    assert first.exit_code() == ExitCode.INTERRUPTED
    assert run_of(store).status is RunStatus.RUNNING, "the end is the controller's to count"
    second = place.run("import_rows", env=mint(store, url=url))
    assert second.exit_code() == ExitCode.DONE, second.log
    assert place.effects() == ["create-table", *(f"row {n}" for n in range(150)), "total"]


def test_somebody_who_wants_a_stop_is_as_good_as_sigterm(place: Workplace, store: Store, url: str) -> None:
    create(store, "scenes", b'{"scene": "waiting"}')
    process = place.start("scenes", env=mint(store, url=url))
    process.wait_for_effect("waits")
    store.request_stop(RUN, 1, "Rollout")
    assert process.exit_code() == ExitCode.INTERRUPTED
    assert "interrupted: Rollout" in process.log


def test_a_step_that_runs_for_a_while_is_shown_while_it_runs(place: Workplace, store: Store, url: str) -> None:
    create(store, "scenes", b'{"scene": "waiting"}')
    process = place.start("scenes", env=mint(store, url=url))
    wait_for(lambda: bool(store.list_steps(RUN)), "the heartbeat to show the step")
    (step,) = store.list_steps(RUN)
    assert (step.name, step.status) == ("wait", StepStatus.STARTED)
    (place.folder / "go").touch()
    assert process.exit_code() == ExitCode.DONE


def test_a_worker_whose_attempt_is_over_is_fenced(place: Workplace, store: Store, url: str) -> None:
    create(store, "scenes", b'{"scene": "waiting"}')
    old = mint(store, url=url)
    new = mint(store, url=url)
    zombie = place.run("scenes", env=old)
    assert zombie.exit_code() == ExitCode.FENCED
    assert "attempt 1 of run 0f0e7c1a may not write any more" in zombie.log
    assert place.effects() == []
    place.folder.joinpath("go").touch()
    assert place.run("scenes", env=new).exit_code() == ExitCode.DONE


def test_a_second_process_of_the_same_attempt_is_fenced(place: Workplace, store: Store, url: str) -> None:
    create(store, "scenes", b'{"scene": "waiting"}')
    environment = mint(store, url=url)
    first = place.start("scenes", env=environment)
    first.wait_for_effect("waits")
    assert place.run("scenes", env=environment).exit_code() == ExitCode.FENCED
    (place.folder / "go").touch()
    assert first.exit_code() == ExitCode.DONE


def test_a_worker_learns_from_its_heartbeat_that_it_has_a_successor(place: Workplace, store: Store, url: str) -> None:
    create(store, "scenes", b'{"scene": "waiting"}')
    process = place.start("scenes", env=mint(store, url=url))
    process.wait_for_effect("waits")
    mint(store, url=url)
    assert process.exit_code() == ExitCode.FENCED


def test_a_frozen_worker_that_comes_back_after_its_successor_changes_nothing(
    place: Workplace, store: Store, url: str
) -> None:
    create(store, "scenes", b'{"scene": "saving"}')
    zombie = place.start("scenes", env=mint(store, url=url))
    wait_for(lambda: len(place.effects()) > 3, "some saves")
    zombie.signal(signal.SIGSTOP)
    successor = place.start("scenes", env=mint(store, url=url))
    wait_for(lambda: any(line.endswith(f" {successor.pid}") for line in place.effects()), "a save of the successor")
    before = [line for line in place.effects() if line.endswith(f" {zombie.pid}")]
    zombie.signal(signal.SIGCONT)
    assert zombie.exit_code() == ExitCode.FENCED
    (place.folder / "go").touch()
    assert successor.exit_code() == ExitCode.DONE
    after = [line for line in place.effects() if line.endswith(f" {zombie.pid}")]
    assert len(after) <= len(before) + 1, "at most the save that it had finished before it froze was still to be told"
    assert run_of(store).status is RunStatus.SUCCEEDED
    (cursor,) = store.list_cursors(RUN)
    assert cursor.attempt == 2


def test_an_error_leaves_the_run_to_the_controller(place: Workplace, store: Store, url: str) -> None:
    create(store, "scenes", b'{"scene": "error"}')
    assert place.run("scenes", env=mint(store, url=url)).exit_code() == ExitCode.FAILED
    assert run_of(store).status is RunStatus.RUNNING
    (step,) = store.list_steps(RUN)
    assert step.status is StepStatus.FAILED
    assert re.fullmatch(r"ValueError: bad row 7 \(scenes\.py:\d+ in raise_error\)", step.error)


def test_input_that_does_not_fit_ends_the_run_for_good(place: Workplace, store: Store, url: str) -> None:
    create(store, "scenes", b'{"scenery": "waiting"}')
    process = place.run("scenes", env=mint(store, url=url))
    assert process.exit_code() == ExitCode.FAILED_FOR_GOOD
    assert "Traceback" not in process.log
    run = run_of(store)
    assert (run.status, run.reason) == (RunStatus.FAILED, "InvalidInput")
    assert run.message == "job 'scenes' has no parameter 'scenery'; it takes: scene, number"


def test_an_incomplete_environment_names_what_is_missing(place: Workplace) -> None:
    process = place.run("scenes", env={"RESUMABLE_RUN": "r", "RESUMABLE_ATTEMPT": "1"})
    assert process.exit_code() == ExitCode.FAILED
    assert "RESUMABLE_STORE_URL, RESUMABLE_NONCE" in process.log
    assert "Traceback" not in process.log


class Service:
    """A state service that can go away and come back at the same address."""

    def __init__(self, url: str, log: Path) -> None:
        self._store_url, self._log = url, log
        self.process = ServiceProcess(url, log)
        self.process.wait_until_ready()

    @property
    def url(self) -> str:
        return self.process.url

    def come_back(self) -> None:
        self.process = ServiceProcess(self._store_url, self._log, port=self.process.port)
        self.process.wait_until_ready()


@pytest.fixture
def service(url: str, tmp_path: Path) -> Iterator[Service]:
    service = Service(url, tmp_path / "service.log")
    yield service
    service.process.kill()


def test_a_service_that_goes_away_and_comes_back_costs_only_time(
    place: Workplace, store: Store, service: Service
) -> None:
    create(store, "import-rows", b'{"rows": 100, "pause": 0.005}')
    process = place.start("import_rows", env=mint(store, url=service.url))
    process.wait_for_effect("row 20")
    service.process.kill()
    wait_for(lambda: "no answer from the store" in process.log, "the worker to notice")
    service.come_back()
    assert process.exit_code() == ExitCode.DONE, process.log
    assert "the store is back" in process.log
    assert place.effects() == ["create-table", *(f"row {n}" for n in range(100)), "total"]
    assert run_of(store).status is RunStatus.SUCCEEDED


def test_a_store_that_stays_away_is_an_interruption(place: Workplace, store: Store, service: Service) -> None:
    create(store, "import-rows", b'{"rows": 100, "pause": 0.005}')
    process = place.start("import_rows", env=mint(store, url=service.url, store_timeout=2))
    process.wait_for_effect("row 20")
    service.process.kill()
    assert process.exit_code() == ExitCode.INTERRUPTED
    assert "interrupted: the store did not answer for" in process.log
    assert "Traceback" not in process.log


def test_asked_to_leave_while_the_store_is_away_it_waits_until_the_deadline_only(
    place: Workplace, store: Store, service: Service
) -> None:
    create(store, "import-rows", b'{"rows": 100, "pause": 0.005}')
    process = place.start("import_rows", env=mint(store, url=service.url, grace=3))
    process.wait_for_effect("row 20")
    service.process.kill()
    wait_for(lambda: "no answer from the store" in process.log, "the worker to notice")
    process.signal(signal.SIGTERM)
    assert process.exit_code(seconds=10) == ExitCode.INTERRUPTED
