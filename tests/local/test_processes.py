"""Processes that are kept as pods are: real ones, that are killed in every way."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from resumable.lifecycle.pod import Pod
from resumable.local.processes import AlreadyExists, PodRequest, Processes
from tests.local.deadlines import until

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
TERMINABLE = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    print('up', flush=True)
    time.sleep(600)
"""


class Bench:
    """Starts pods, and leaves none behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = Processes(folder, "default")

    def start(self, code: str, name: str = "job-r1") -> Pod:
        request = PodRequest(
            name=name,
            attempt=int(name.rpartition("-r")[2]),
            run_id="default/job",
            nonce_hash="n",
            template_hash="t",
            command=(sys.executable, "-c", textwrap.dedent(code)),
            environment=dict(os.environ),
            working_directory=self.folder,
        )
        return self.processes.create(request)

    def pod(self, name: str = "job-r1") -> Pod:
        return next(pod for pod in self.processes.list("job") if pod.name == name)

    def wait_until_up(self, name: str = "job-r1") -> int:
        until(lambda: "up" in self.processes.log(name).read_text(), "the worker is up")
        pid = self.processes.worker_pid(name)
        assert pid is not None
        return pid

    def wait_for_end(self, name: str = "job-r1") -> Pod:
        until(lambda: self.pod(name).terminal, f"{name} is terminal")
        return self.pod(name)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for pod in bench.processes.list("job"):
        bench.processes.delete(pod.name, timedelta(0))


def test_a_worker_that_ends_by_itself_leaves_its_exit_code(bench: Bench) -> None:
    bench.start("import sys; sys.exit(76)")
    pod = bench.wait_for_end()
    assert pod.phase == "Failed"
    assert pod.end is not None
    assert (pod.end.exit_code, pod.end.signal) == (76, None)
    assert pod.end.finished is not None


def test_exit_0_is_what_a_cluster_calls_succeeded(bench: Bench) -> None:
    bench.start("print('done')")
    assert bench.wait_for_end().phase == "Succeeded"
    assert bench.processes.log("job-r1").read_text() == "done\n"


def test_a_killed_worker_is_seen_with_its_signal(bench: Bench) -> None:
    bench.start(SLEEPER)
    os.kill(bench.wait_until_up(), signal.SIGKILL)
    pod = bench.wait_for_end()
    assert pod.end is not None
    assert (pod.end.exit_code, pod.end.signal) == (137, signal.SIGKILL)


def test_deletion_asks_first(bench: Bench) -> None:
    bench.start(TERMINABLE)
    bench.wait_until_up()
    bench.processes.delete("job-r1", timedelta(seconds=30))
    pod = bench.wait_for_end()
    assert pod.deleting_since is not None
    assert pod.end is not None
    assert pod.end.exit_code == 75


def test_a_worker_that_ignores_the_request_is_killed_when_the_grace_is_over(bench: Bench) -> None:
    bench.start(STUBBORN)
    bench.wait_until_up()
    bench.processes.delete("job-r1", timedelta(seconds=0.3))
    pod = bench.wait_for_end()
    assert pod.end is not None
    assert pod.end.exit_code == 137


def test_children_end_with_the_worker(bench: Bench) -> None:
    bench.start(f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], stdout=subprocess.DEVNULL)
        print(child.pid, "up", flush=True)
        time.sleep(600)
    """)
    os.kill(bench.wait_until_up(), signal.SIGKILL)
    bench.wait_for_end()
    child = int(bench.processes.log("job-r1").read_text().split()[0])
    until(lambda: not running(child), "the child has ended too")


def test_a_command_that_does_not_exist_is_a_start_error(bench: Bench) -> None:
    bench.processes.create(
        PodRequest("job-r1", 1, "default/job", "n", "t", ("no-such-command",), dict(os.environ), bench.folder)
    )
    pod = bench.wait_for_end()
    assert pod.end is not None
    assert (pod.end.exit_code, pod.end.reason) == (128, "StartError")
    assert "no-such-command" in pod.end.message


def test_a_name_is_given_once(bench: Bench) -> None:
    bench.start(SLEEPER)
    with pytest.raises(AlreadyExists):
        bench.start(SLEEPER)
    assert len(bench.processes.list("job")) == 1


def test_a_pod_lives_as_long_as_its_worker_even_when_the_shim_was_killed(bench: Bench) -> None:
    bench.start(SLEEPER)
    worker = bench.wait_until_up()
    os.kill(parent_of(worker), signal.SIGKILL)
    until(lambda: parent_of(worker) != os.getpid() and bench.pod().phase == "Running", "the pod is still there")
    os.kill(worker, signal.SIGKILL)
    pod = bench.wait_for_end()
    assert (pod.phase, pod.status_reason, pod.end) == ("Failed", "ProcessLost", None)


def test_a_worker_outlives_whoever_started_it_and_its_exit_code_is_not_lost(bench: Bench) -> None:
    starter = f"""
        import os, sys
        from pathlib import Path
        from tests.local.test_processes import Bench, TERMINABLE
        bench = Bench(Path({str(bench.folder)!r}))
        bench.start(TERMINABLE)
        bench.wait_until_up()
        os.kill(os.getpid(), 9)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(starter)], env=with_path(), check=False)
    assert ended.returncode == -signal.SIGKILL
    assert bench.pod().phase == "Running"
    os.kill(bench.wait_until_up(), signal.SIGTERM)
    pod = bench.wait_for_end()
    assert pod.end is not None
    assert pod.end.exit_code == 75


def test_only_the_pods_of_the_job_itself_are_listed(bench: Bench) -> None:
    bench.start("pass")
    bench.start("pass", name="job-r2-r1")
    assert [pod.name for pod in bench.processes.list("job")] == ["job-r1"]
    assert [pod.name for pod in bench.processes.list("job-r2")] == ["job-r2-r1"]


def test_a_released_pod_is_gone_but_its_log_is_not(bench: Bench) -> None:
    bench.start("print('said')")
    bench.wait_for_end()
    bench.processes.release("job-r1")
    assert bench.processes.list("job") == ()
    assert bench.processes.log("job-r1").read_text() == "said\n"


def running(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def parent_of(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout)


def with_path() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": f"{root / 'operator'}{os.pathsep}{root}"}
