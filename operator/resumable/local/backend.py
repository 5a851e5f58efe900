"""Carries the decisions out on processes: what the controller does with pods, for one job in the foreground."""

import dataclasses
import os
import secrets
import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from resumable.lifecycle import decision as d
from resumable.lifecycle import restart
from resumable.lifecycle.decide import decide
from resumable.lifecycle.decision import Decision
from resumable.lifecycle.pod import Pod, nonce_hash
from resumable.lifecycle.status import status_of
from resumable.lifecycle.waiting import message_of
from resumable.local.manifest import Manifest
from resumable.local.processes import AlreadyExists, PodRequest, Processes
from resumable.local.state_directory import DEFAULT, StateDirectory
from resumable.resource.job import Observed, ResumableJob
from resumable.sdk.environment import WorkerEnvironment
from resumable.state.outcome import Changed, ChangeOutcome
from resumable.state.record import Run, RunStatus, RunView
from resumable.state.store import NewRun, Store

# Where a run stays until a person does something.
RESTING = (RunStatus.SUSPENDED, RunStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class Round:
    """One reading of everything, what was decided from it, and what was done."""

    view: RunView | None
    pods: tuple[Pod, ...]
    decision: Decision
    status: dict[str, Any]  # as the resource's status would be

    @property
    def at_rest(self) -> bool:
        """Nothing runs and nothing will, until somebody does something."""
        if self.decision.actions or any(not pod.terminal for pod in self.pods):
            return False
        if self.view is None:  # lost, or its time was over: the status tells
            return True
        return self.view.run.status.terminal or self.view.run.status in RESTING

    @property
    def waits(self) -> bool:
        """Nothing runs until a signal comes or a time does."""
        return self.view is not None and self.view.run.status is RunStatus.WAITING


class WorkerLives(Exception):
    """The job's record is needed: a worker writes to it."""


class LocalBackend:
    """One job's operator. The caller holds the job's lock (`StateDirectory.lock`)."""

    def __init__(self, manifest: Manifest, directory: StateDirectory, store: Store) -> None:
        self.job = manifest.job
        self._manifest = manifest
        self._directory = directory
        self._store = store
        store.collect()
        self._info = store.info()
        self.processes = Processes(directory.path, manifest.job.namespace)

    def suspend(self) -> None:
        """From now on decide as if the manifest said `suspend: true`: the worker saves and leaves; no other starts."""
        self.job = dataclasses.replace(self.job, spec=msgspec.structs.replace(self.job.spec, suspend=True))

    def forget(self) -> None:
        """Remove the record, so that the job starts from the beginning. Raises `WorkerLives`."""
        if living := [pod.name for pod in self._pods() if not pod.terminal]:
            raise WorkerLives(f"job {self.job.name!r} can't be forgotten: its worker still runs ({', '.join(living)})")
        self._store.delete_run(self.job.uid)
        self._directory.forget_status(self.job)
        for pod in self._pods():
            self.processes.release(pod.name)

    def round(self) -> Round:
        """Read, decide, act once. The pods are read first, so that a worker that ends in between is seen as ended."""
        pods = self._pods()
        view = self._store.view(self.job.uid)
        job = dataclasses.replace(self.job, observed=self._observed())
        now = view.now if view else self._store.info().now
        job = self._with_restart_checked(job, view)
        decision = decide(job, view, pods, now, store_uuid=self._info.uuid)
        for action in decision.actions:
            if not self._do(action):
                break  # somebody was faster: the next round reads everything again
        if decision.actions:
            view = self._store.view(self.job.uid)
        status = status_of(job, view, pods, decision, now=view.now if view else now, store=self._info)
        self._directory.save_status(job, status)
        return Round(view, pods, decision, status)

    def how_to_wake(self, current: Round) -> str:
        """For a run that waits: what it waits for, and the command that sends it."""
        assert current.view is not None  # only a run waits
        run = current.view.run
        text = f"{run.name}: {message_of(run)}."
        if not run.wake_on:
            return text
        where = "" if self._directory.path == DEFAULT.resolve() else f" --store-url {self._directory.store_url}"
        whose = "" if run.namespace == "default" else f" -n {run.namespace}"
        return f"{text} Send it: resumable signal {run.name} {shlex.quote(run.wake_on[0])}{whose}{where} --payload JSON"

    def _with_restart_checked(self, job: ResumableJob, view: RunView | None) -> ResumableJob:
        """Look the steps up that a new `spec.restart` names, before anything is stopped for it."""
        if view is None or job.spec.restart is None or not restart.is_new(job, view.run):
            return job
        whole = self._store.view(job.uid, steps=view.steps_total)
        problem = restart.problem_of(job.spec.restart, view.run, whole.steps if whole else ())
        return dataclasses.replace(job, restart_problem=problem)

    def _pods(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.processes.list(self.job.name) if pod.run_id == self.job.uid)

    def _observed(self) -> Observed:
        return msgspec.convert(self._directory.status(self.job), Observed, strict=False)

    def _do(self, action: d.Action) -> bool:
        """Carry one action out; False when it was refused because something changed meanwhile."""
        run_id, store = self.job.uid, self._store
        match action:
            case d.CreateRun():
                job = self.job
                store.create_run(
                    NewRun(id=run_id, namespace=job.namespace, name=job.name, input=job.spec.encoded_input)
                )
            case d.SetInput(expected):
                return _done(store.set_input(run_id, expected, self.job.spec.encoded_input))
            case d.Mint(expected):
                outcome = store.mint(run_id, expected, secrets.token_hex(16))
                return isinstance(outcome, Changed) and self._start(outcome.run)
            case d.CreatePod(attempt):
                run = store.get_run(run_id)
                return run is not None and run.attempt == attempt and self._start(run)
            case d.BindPod(attempt, pod_name, pod_uid):
                run = store.get_run(run_id)
                return run is not None and run.attempt == attempt and self._bind(run, pod_name, pod_uid)
            case d.RequestStop(attempt, reason):
                return _done(store.request_stop(run_id, attempt, reason))
            case d.DeletePod():
                grace = self.job.grace_seconds if action.grace_seconds is None else action.grace_seconds
                self.processes.delete(action.name, timedelta(seconds=grace))
            case d.CountEnd(end):
                return _done(store.count_end(run_id, end))
            case d.ReleasePod(name):
                self.processes.release(name)
            case d.Settle(expected, to, reason, message):
                return _done(store.settle(run_id, expected, to, reason=reason, message=message))
            case d.Restart(expected, request):
                return _done(store.restart(run_id, expected, request))
            case d.DeleteState() | d.ReleaseJob():
                raise AssertionError(f"{action}: a manifest on a disk is never deleted")
        return True

    def _start(self, run: Run) -> bool:
        worker = self._manifest.worker
        checkpoints = self._directory.volume(self.job, self._manifest.checkpoint_claim)
        ours = WorkerEnvironment(
            store_url=self._directory.store_url,
            fence=run.fence,
            grace=timedelta(seconds=self.job.grace_seconds),
            checkpoint_dir=checkpoints,
        )
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESUMABLE_")}
        request = PodRequest(
            name=self.job.pod_name(run.attempt),
            attempt=run.attempt,
            run_id=run.id,
            nonce_hash=nonce_hash(run.nonce),
            template_hash=self.job.template_hash,
            command=worker.command,
            environment={"PYTHONUNBUFFERED": "1", **inherited, **worker.environment, **ours.variables()},
            working_directory=worker.working_directory,
        )
        try:
            pod = self.processes.create(request)
        except AlreadyExists:
            return False
        return self._bind(run, pod.name, pod.uid)

    def _bind(self, run: Run, pod_name: str, pod_uid: str) -> bool:
        node = os.uname().nodename
        return _done(
            self._store.bind_pod(run.id, run.attempt, run.nonce, pod_name=pod_name, pod_uid=pod_uid, node=node)
        )


def _done(outcome: ChangeOutcome) -> bool:
    return isinstance(outcome, Changed)
