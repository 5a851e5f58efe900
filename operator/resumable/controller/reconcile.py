"""One idempotent pass over a job: read, decide, act; at the end write its status once.

Rounds follow each other until nothing is left to do, because what an action changed leads to the next decision: an end
that was counted, to the next attempt. Finalizers come off last: an end is in the store, then in the status, then its
pod may go.
"""

import logging
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import assert_never

from resumable.controller.cache import Cache, JobKey
from resumable.controller.carry_out import CarryOut, Done, NameTaken, Overtaken
from resumable.controller.dry_run import Refusal, TemplateVerdicts
from resumable.controller.events import Events
from resumable.controller.kubernetes_api import Conflict, KubernetesApi, NotFound, Object
from resumable.controller.obstacles import Obstacles
from resumable.controller.queue import WorkQueue
from resumable.controller.release import release_orphans
from resumable.controller.snapshot import Snapshot, SnapshotReader
from resumable.controller.status_writer import StatusWriter
from resumable.controller.wakeups import Wakeups
from resumable.lifecycle.decide import decide
from resumable.lifecycle.decision import Action, Condition, CreatePod, Decision, Mint, Notice, ReleaseJob, ReleasePod
from resumable.lifecycle.notices import notices_of
from resumable.lifecycle.status import status_of, store_unreachable
from resumable.resource.job import ResumableJob, read_job
from resumable.state.outcome import StoreError
from resumable.state.record import RunStatus

logger = logging.getLogger(__name__)

_MAX_ROUNDS = 10  # more means that we chase our own tail: look again after a moment
_SOON = timedelta(milliseconds=50)
# All jobs together ask the store for progress at most this often a second.
_PROGRESS_READS_PER_SECOND = 200
# A job that waits is looked at again after so long although nothing told of a signal (`wakeups`): in doubt it is late.
_WAITING_LOOK = timedelta(minutes=5)


class _Acted(Enum):
    """What became of a decision's actions."""

    NOTHING = auto()  # nothing more can be done now
    SOMETHING = auto()  # read and decide again
    OVERTAKEN = auto()  # likewise, and what was decided is void


class Reconciler:
    """Looks after all jobs; `reconcile` is what the queue calls, for one key at a time."""

    def __init__(
        self,
        api: KubernetesApi,
        cache: Cache,
        queue: WorkQueue[JobKey],
        reader: SnapshotReader,
        carry_out: CarryOut,
        verdicts: TemplateVerdicts,
        events: Events,
        wakeups: Wakeups,
        *,
        progress_interval: timedelta,
    ) -> None:
        self._api = api
        self._cache = cache
        self._queue = queue
        self._reader = reader
        self._carry_out = carry_out
        self._verdicts = verdicts
        self._events = events
        self._wakeups = wakeups
        self._status = StatusWriter(api, cache)
        self._obstacles = Obstacles()
        self._progress_interval = progress_interval

    async def reconcile(self, key: JobKey) -> None:
        """Bring this job as far as it gets now. What is raised means: again, after a back-off."""
        manifest = self._cache.job(key)
        await release_orphans(
            self._api, self._cache, key, self._cache.pods(key), manifest["metadata"]["uid"] if manifest else ""
        )
        if manifest is None:
            self._status.forget(key)
            return
        try:
            await self._look_after(key, manifest)
        except (Conflict, NotFound):
            await self._refresh(key, manifest)  # the job changed, or went, and the watch has not told yet
            self._queue.add_after(key, _SOON)
        except StoreError as error:
            await self._say_unreachable(key, str(error))
            raise

    async def _look_after(self, key: JobKey, manifest: Object) -> None:
        job = read_job(manifest)
        if not job.finalized and job.deleting_since is None:
            await self._carry_out.ensure_finalizer(manifest)
        releases: dict[str, ReleasePod | ReleaseJob] = {}
        for _ in range(_MAX_ROUNDS):
            at = await self._reader.read(key, self._cache.job(key) or manifest)
            decision = decide(at.job, at.view, at.pods, at.now, store_uuid=at.store.uuid if at.store else "")
            acted = await self._act(at, decision)
            if acted is not _Acted.OVERTAKEN:
                releases |= {_uid(each): each for each in decision.actions if isinstance(each, ReleasePod | ReleaseJob)}
            if acted is _Acted.NOTHING:
                break
        else:
            logger.warning("%s: not settled after %d rounds: %s", key, _MAX_ROUNDS, decision.actions)
            self._queue.add_after(key, timedelta(seconds=1))
        held_back = any(isinstance(action, Mint | CreatePod) for action in decision.actions)
        if not held_back:
            self._obstacles.cleared(at.job.uid)  # no pod is wanted any more, or it is there
        if at.view is not None:
            self._wakeups.note(at.key, at.view.run)
        await self._write_status(at, decision)
        if at.refusal:
            self._events.send(at.job, notices_of(at.job, at.view, (), (_not_accepted(at.refusal),)))
        if not held_back:
            self._events.send(at.job, decision.notices)  # of conditions, which are news until the status tells of them
        for release in releases.values():
            await self._release(release, at)
        self._look_again(at, decision)

    async def _release(self, release: ReleasePod | ReleaseJob, at: Snapshot) -> None:
        result = await self._carry_out.do(release, at)
        if isinstance(release, ReleaseJob) and isinstance(result, Done):
            self._forget(at)
        else:  # what comes next; the watch has nothing new to tell, as the cache knows it already
            self._queue.add(at.key)

    async def _act(self, at: Snapshot, decision: Decision) -> _Acted:
        """Carry out all but the releases, which wait for the status."""
        actions = [action for action in decision.actions if self._due(action, at)]
        for action in actions:
            match await self._carry_out.do(action, at):
                case Done():
                    pass
                case Overtaken():
                    return _Acted.OVERTAKEN
                case Refusal(kind, message):
                    self._met_obstacle(at.job, kind, message)
                    return _Acted.NOTHING
                case NameTaken(pod_name):
                    self._met_obstacle(
                        at.job, "PodNameTaken", f"pod {pod_name} exists and is not this job's; waiting until it is gone"
                    )
                    return _Acted.NOTHING
                case other:
                    assert_never(other)
        if actions:
            self._events.send(at.job, decision.notices)
            return _Acted.SOMETHING
        return _Acted.NOTHING

    def _due(self, action: Action, at: Snapshot) -> bool:
        if isinstance(action, Mint | CreatePod):
            return self._obstacles.wait(at.job) is None
        return not isinstance(action, ReleasePod | ReleaseJob)

    def _met_obstacle(self, job: ResumableJob, reason: str, message: str) -> None:
        if self._obstacles.met(job, reason, message):
            self._events.send(job, [Notice("Warning", reason, message)])

    async def _write_status(self, at: Snapshot, decision: Decision) -> None:
        if at.store is None or any(isinstance(action, ReleaseJob) for action in decision.actions):
            return  # the job is on its way out
        extra: list[Condition] = []
        if at.refusal:
            extra.append(_not_accepted(at.refusal))
        if obstacle := self._obstacles.of(at.job):
            extra.append(obstacle.condition)
        wanted = status_of(at.job, at.view, at.pods, decision, now=at.now, store=at.store, extra=extra)
        postponed = await self._status.write(self._cache.latest(at.manifest), wanted)
        if postponed is not None:
            self._queue.add_after(at.key, postponed)

    def _look_again(self, at: Snapshot, decision: Decision) -> None:
        moments = []
        if decision.look_again:
            moments.append(decision.look_again - at.now)
        if wait := self._obstacles.wait(at.job):
            moments.append(wait)
        if at.refusal:
            moments.append(self._verdicts.retry_after(at.job))
        if _waits(at):
            moments.append(_WAITING_LOOK)
        if any(not pod.terminal for pod in at.pods):
            moments.append(
                max(self._progress_interval, timedelta(seconds=self._cache.job_count() / _PROGRESS_READS_PER_SECOND))
            )
        if moments:
            self._queue.add_after(at.key, min(moments))

    async def _say_unreachable(self, key: JobKey, message: str) -> None:
        """The store is away: say so in the status; everything else there stays as it was."""
        if manifest := self._cache.job(key):
            unreachable = store_unreachable(read_job(manifest), message, now=datetime.now(UTC))
            try:
                await self._status.write(manifest, unreachable)
            except (Conflict, NotFound):
                await self._refresh(key, manifest)

    async def _refresh(self, key: JobKey, manifest: Object) -> None:
        try:
            self._cache.see_job(await self._api.get_job(*key))
        except NotFound:
            self._cache.forget_job(manifest)

    def _forget(self, at: Snapshot) -> None:
        self._status.forget(at.key)
        self._wakeups.forget(at.job.uid)
        self._verdicts.forget(at.job.uid)
        self._obstacles.cleared(at.job.uid)


def _waits(at: Snapshot) -> bool:
    return at.view is not None and at.view.run.status is RunStatus.WAITING


def _not_accepted(refusal: Refusal) -> Condition:
    return Condition("Accepted", False, refusal.kind, refusal.message)


def _uid(release: ReleasePod | ReleaseJob) -> str:
    return release.uid if isinstance(release, ReleasePod) else ""
