"""One job at one moment, as every policy sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resumable.lifecycle.pod import Pod, nonce_hash
from resumable.resource.job import ResumableJob
from resumable.state.record import Attempt, Run, RunStatus, RunView


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job, its record and its pods; which pod belongs to the current attempt is worked out once, here."""

    job: ResumableJob
    view: RunView
    now: datetime
    pod: Pod | None  # the current attempt's
    strays: tuple[Pod, ...]  # of older attempts, or of another mint of the current number: fenced already

    @classmethod
    def of(cls, job: ResumableJob, view: RunView, pods: Sequence[Pod], now: datetime) -> "Snapshot":
        """Sort the run's pods into the current attempt's one and the rest."""
        own = [pod for pod in pods if _belongs(pod, view)]
        current = own[0] if own else None
        return cls(job, view, now, current, tuple(pod for pod in pods if pod is not current))

    @property
    def run(self) -> Run:
        """The run's row."""
        return self.view.run

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts, oldest first."""
        return self.view.attempts

    @property
    def budgeted(self) -> tuple[Attempt, ...]:
        """Those that the budgets count: a restart gives the run new ones."""
        return tuple(each for each in self.attempts if each.generation == self.run.generation)

    @property
    def current(self) -> Attempt | None:
        """The attempt that may write; None before the first mint."""
        return self.attempt(self.run.attempt)

    @property
    def is_open(self) -> bool:
        """Whether the current attempt's end is not counted yet."""
        return self.current is not None and self.current.ended is None

    @property
    def never_had_a_pod(self) -> bool:
        """Minted, and as far as anybody knows no pod was created: the same number may be created again."""
        current = self.current
        return self.pod is None and current is not None and not current.pod_uid and current.begun is None

    @property
    def ended_by_worker(self) -> bool:
        """The worker wrote how this attempt ends; what follows can't change it.

        A signal may have moved the run on since: then it is Pending while the worker is still on its way out.
        """
        if self.run.status.terminal or self.run.status in (RunStatus.WAITING, RunStatus.PAUSED):
            return True
        return self.current is not None and self.current.written_end is not None

    def attempt(self, number: int) -> Attempt | None:
        """The attempt with this number."""
        return next((each for each in self.attempts if each.number == number), None)

    def is_counted(self, pod: Pod) -> bool:
        """Whether this pod's end needs no counting (any more): its attempt's is counted, or that is another pod's."""
        attempt = self.attempt(pod.attempt)
        if attempt is None or (pod.attempt == self.run.attempt and pod is not self.pod):
            return True
        return attempt.ended is not None or attempt.pod_uid not in ("", pod.uid)


def _belongs(pod: Pod, view: RunView) -> bool:
    run = view.run
    if pod.attempt != run.attempt or pod.nonce_hash != nonce_hash(run.nonce):
        return False
    bound = next((each.pod_uid for each in view.attempts if each.number == run.attempt), "")
    return bound in ("", pod.uid)
