"""A small job, its manifest, and `resumable run` as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from resumable.local.processes import Processes
from tests.local.deadlines import until

JOB = """
import json, os, time
from resumable import Job, StepContext, job


def effect(what, **more):
    who = {"pid": os.getpid(), "flavour": os.environ.get("FLAVOUR")}
    line = json.dumps({"what": what, "at": time.time(), **who, **more})
    log = os.open(os.environ["EFFECT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, (line + "\\n").encode())
    os.close(log)


def first() -> str:
    effect("first")
    return "done"


def rows(step: StepContext[int], total: int, pace: float) -> int:
    for row in step.iterate(range((step.cursor or 0) + 1, total + 1), cursor=lambda row: row, every=1):
        effect("row", row=row)
        time.sleep(pace)
    return total


def fail() -> None:
    effect("fail")
    raise OSError("the disk is on fire")


@job("count", version="1")
def count(j: Job, total: int = 30, pace: float = 0.05, fails: bool = False) -> int:
    j.step("first", first)
    if fails:
        j.step("fail", fail)
    return j.step("rows", rows, total, pace)


if __name__ == "__main__":
    count.main()
"""

MANIFEST: dict[str, Any] = {
    "apiVersion": "resumable.dev/v1alpha1",
    "kind": "ResumableJob",
    "metadata": {"name": "count"},
    "spec": {
        "backoff": {"initialSeconds": 1},
        "template": {
            "spec": {
                "terminationGracePeriodSeconds": 20,
                "containers": [{"name": "count", "image": "never-pulled", "command": ["python", "count.py"]}],
            }
        },
    },
}


class LocalRun:
    """A folder with a job in it, the commands that run it, and what it really did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.effect_log = folder / "effects.jsonl"
        self.processes = Processes(folder / ".resumable", "default")
        self._started: list[subprocess.Popen[str]] = []
        (folder / "count.py").write_text(JOB)
        self.write_manifest()

    def write_manifest(self, **container: object) -> None:
        manifest = json.loads(json.dumps(MANIFEST))
        manifest["spec"]["template"]["spec"]["containers"][0] |= container
        (self.folder / "job.yaml").write_text(yaml.safe_dump(manifest))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`resumable …` in the background."""
        process = subprocess.Popen(
            [sys.executable, "-m", "resumable.cli.main", *arguments],
            cwd=self.folder,
            env={**os.environ, "EFFECT_LOG": str(self.effect_log), "PYTHONPATH": operator_folder()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def start_run(self, *options: str) -> subprocess.Popen[str]:
        return self.start("run", "job.yaml", *options)

    def finish(self, process: subprocess.Popen[str], expected: int = 0) -> str:
        """Wait for the end and return the output."""
        output, _ = process.communicate(timeout=60)
        assert process.returncode == expected, output
        return output

    def run(self, *options: str, expected: int = 0) -> str:
        return self.finish(self.start_run(*options), expected)

    def effects(self, what: str | None = None) -> list[dict[str, Any]]:
        lines = self.effect_log.read_text().splitlines() if self.effect_log.exists() else []
        effects = [json.loads(line) for line in lines]
        return [effect for effect in effects if what in (None, effect["what"])]

    def rows(self) -> list[int]:
        return [effect["row"] for effect in self.effects("row")]

    def worker_at_row(self, row: int) -> int:
        """Wait until the row is being worked on; the worker's process id."""
        until(lambda: row in self.rows(), f"row {row} is worked on")
        pid: int = self.effects("row")[-1]["pid"]
        return pid

    def clean_up(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()
        for pod in self.processes.list("count"):
            self.processes.delete(pod.name, timedelta(0))


def operator_folder() -> str:
    return str(Path(__file__).parents[2] / "operator")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalRun]:
    local = LocalRun(tmp_path)
    yield local
    local.clean_up()
