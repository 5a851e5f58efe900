"""`.resumable/`: everything that a local run keeps. Deleting it forgets every run.

state.db                        the store
volumes/<namespace>/<claim>/    a folder for each volume claim
status/<namespace>/<job>.json   what a cluster keeps in the resource's status
locks/<namespace>/<job>.lock    held while a `resumable run` looks after the job
pods/, logs/                    see `processes`
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from resumable.local.shim import publish
from resumable.resource.job import ResumableJob

DEFAULT = Path(".resumable")


class JobIsBusy(Exception):
    """Another `resumable run` looks after this job."""


class StateDirectory:
    """One state directory, made when it isn't there."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), (self.path / ".gitignore").open("x") as ignore:
            ignore.write("*\n")

    @property
    def store_url(self) -> str:
        """The embedded SQLite."""
        return f"sqlite:///{self.path / 'state.db'}"

    @contextmanager
    def lock(self, job: ResumableJob) -> Iterator[None]:
        """Look after the job alone; it ends with the process, however that ends. Raises `JobIsBusy`."""
        with self._file("locks", job, ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "unknown"
                raise JobIsBusy(
                    f"job {job.name!r} is already looked after by another `resumable run` (process {holder}); "
                    "watch it there, or end that one first"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def volume(self, job: ResumableJob, claim: str | None) -> Path | None:
        """The folder of a volume claim."""
        if claim is None:
            return None
        folder = self.path / "volumes" / job.namespace / claim
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def status(self, job: ResumableJob) -> dict[str, Any]:
        """The status that was written last; {} when there is none."""
        try:
            status: dict[str, Any] = json.loads(self._file("status", job, ".json").read_text())
        except FileNotFoundError:
            return {}
        return status

    def save_status(self, job: ResumableJob, status: dict[str, Any]) -> None:
        """Write the status, if it changed."""
        if self.status(job) != status:
            publish(self._file("status", job, ".json"), status)

    def forget_status(self, job: ResumableJob) -> None:
        """Remove the status: the job was never seen."""
        self._file("status", job, ".json").unlink(missing_ok=True)

    def _file(self, kind: str, job: ResumableJob, suffix: str) -> Path:
        folder = self.path / kind / job.namespace
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{job.name}{suffix}"
