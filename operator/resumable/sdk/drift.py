"""What became of the code between two attempts, seen from the steps that it meets.

Steps are taken by name, wherever the code has them now. So code that gained, lost, renamed or reordered steps goes on
all the same; an author who did not mean that should be able to see it. Each kind of drift is one line in the log, at
the moment when it is noticed. Nothing here decides what runs.

Only steps that an earlier attempt *finished* are compared, and by name where a name has keys: an item more in a loop
is other data, not other code.
"""

import logging
from collections.abc import Iterable

from resumable.state.record import COMPENSATE, ON_FAILURE, Step, StepStatus

log = logging.getLogger("resumable")

StepId = tuple[str, str]

UNDOING = (COMPENSATE, ON_FAILURE)  # steps of a failure: the job's function doesn't meet them

_SHOWN = 5


class Drift:
    """Compares the steps that this attempt meets with what the earlier ones stored."""

    def __init__(self, steps: Iterable[Step]) -> None:
        stored = list(steps)
        self._names = {step.name for step in stored}
        self._place = {(step.name, step.key): step.ordinal for step in stored if step.status is StepStatus.DONE}
        self._met: set[StepId] = set()
        self._unmet: list[StepId] | None = None  # by place; made when it is asked for, and shrinks
        self._furthest: StepId | None = None
        self._look_at_order = self._look_for_new = bool(self._place)

    def met(self, step: StepId, ordinal: int) -> None:
        """A step was met, as the `ordinal`-th of this attempt. Logs what is noticed."""
        place = self._place.get(step)
        if place is None:
            if self._look_for_new and step[0] not in self._names:
                self._notice_new(step, ordinal)
            return
        self._met.add(step)
        if not self._look_at_order:
            return
        before = self._furthest
        if before is None or place >= self._place[before]:
            self._furthest = step
        elif before[0] != step[0]:
            self._look_at_order = False
            log.warning(
                "drift: step %s comes after %s now, and came before it when they were stored; both are taken by name",
                label(step),
                label(before),
            )

    def ignore_order(self) -> None:
        """Tasks that run at the same time meet their steps as they come."""
        self._look_at_order = self._look_for_new = False

    def renamed(self, old: StepId, new: StepId) -> None:
        """A step that said `renamed_from=` takes the place of the one that had its old name."""
        self._met.update((old, new))

    def forgotten(self, step: StepId) -> None:
        """The job has forgotten it, and may do without it."""
        self._met.add(step)

    def tell_never_met(self) -> None:
        """The job's function has returned: whatever was not met until now is not in the code any more."""
        lost = self._not_met_yet()
        if lost:
            log.warning(
                "drift: %s: stored by an earlier attempt and not met by the code as it is now"
                " (renamed? say so: j.options(renamed_from=%r).step(…))",
                _listed(lost),
                lost[0][0],
            )

    def _notice_new(self, step: StepId, ordinal: int) -> None:
        after = [each for each in self._not_met_yet() if self._place[each] >= ordinal]
        if after:
            self._look_for_new = False
            log.warning(
                "drift: step %s is new and runs now; done before it already, and not run again: %s",
                label(step),
                _listed(after),
            )

    def _not_met_yet(self) -> list[StepId]:
        if self._unmet is None:
            of_job = (step for step in self._place if not step[0].startswith(UNDOING))
            self._unmet = sorted(of_job, key=self._place.__getitem__)
        self._unmet = [step for step in self._unmet if step not in self._met]
        return self._unmet


def label(step: StepId) -> str:
    """As people read it: `ship[4711]`."""
    name, key = step
    return f"{name}[{key}]" if key else name


def _listed(steps: list[StepId]) -> str:
    shown = ", ".join(label(step) for step in steps[:_SHOWN])
    return shown if len(steps) <= _SHOWN else f"{shown} and {len(steps) - _SHOWN:,} more"
