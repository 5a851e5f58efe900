"""Who may change a run's status, from what, to what. The one table; every store asks it.

Each change is a compare-and-set. The worker's carry its fence, the controller's carry (attempt, status, version) as
read. While a pod may still live the controller changes no status: it raises `stop_requested`, and the last save still
lands.
"""

from enum import StrEnum

from resumable.state.record import RunStatus

P, R, I, W = RunStatus.PENDING, RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.WAITING  # noqa: E741
SUS, PAU = RunStatus.SUSPENDED, RunStatus.PAUSED
OK, FAIL, CAN = RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED


class Transition(StrEnum):
    """A change of status by name."""

    BEGIN = "begin"
    END = "end"
    MINT = "mint"
    COUNT_END = "count-end"
    SETTLE = "settle"
    SIGNAL = "signal"
    RESTART = "restart"


TABLE: dict[Transition, dict[RunStatus, frozenset[RunStatus]]] = {
    # The worker, under its fence.
    Transition.BEGIN: {P: frozenset({R}), R: frozenset({R})},  # R → R: the same process again, after a lost reply
    Transition.END: {R: frozenset({OK, FAIL, PAU, W})},
    # The controller, by compare-and-set. From Running: a successor after fencing, when the pod is known to be lost.
    Transition.MINT: {P: frozenset({P}), I: frozenset({P}), R: frozenset({P})},
    # The attempt's pod is terminal. A status that the worker wrote before it left stands. OK: only for
    # `completion: ExitCode`.
    Transition.COUNT_END: {
        P: frozenset({P, I, SUS, PAU, OK, FAIL, CAN}),
        R: frozenset({P, I, SUS, PAU, OK, FAIL, CAN}),
        W: frozenset({W}),
        PAU: frozenset({PAU}),
        SUS: frozenset({SUS}),
        I: frozenset({I}),
        OK: frozenset({OK}),
        FAIL: frozenset({FAIL}),
        CAN: frozenset({CAN}),
    },
    # No pod lives: suspend and resume, pause and go on, give up, cancel.
    Transition.SETTLE: {
        P: frozenset({SUS, PAU, FAIL, CAN}),
        I: frozenset({P, SUS, PAU, FAIL, CAN}),
        W: frozenset({P, SUS, PAU, FAIL, CAN}),
        SUS: frozenset({P, PAU, FAIL, CAN}),
        PAU: frozenset({P, SUS, FAIL, CAN}),
    },
    # A signal that the run waits for, from anybody who may send one.
    Transition.SIGNAL: {W: frozenset({P})},
    # A person's request, while no pod lives: the one way out of a terminal status. It opens a new generation.
    Transition.RESTART: {before: frozenset({P}) for before in (P, I, W, SUS, PAU, OK, FAIL, CAN)},
}


def allowed(transition: Transition, before: RunStatus, after: RunStatus) -> bool:
    """Whether `transition` may take a run from `before` to `after`."""
    return after in TABLE[transition].get(before, frozenset())
