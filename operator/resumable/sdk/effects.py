"""What becomes of a step whose effect may have happened already.

Steps are at least once: a process can die between the last effect and the moment when the result is stored, and the
next attempt runs the step again. For an effect that must not happen twice and that no outside key can make harmless, a
step is `effect="at-most-once"`: its start is on record before it runs. Whoever then finds a start without an end does
not know whether it took effect, and does what the step's `on_unknown` says.

Pure: no clock, no store.
"""

from shlex import quote
from typing import Final, Literal, TypeAlias

from resumable.sdk.drift import label
from resumable.sdk.errors import InvalidStep
from resumable.sdk.retry import Retry
from resumable.state.record import Step, StepStatus

Effect: TypeAlias = Literal["at-least-once", "at-most-once"]
OnUnknown: TypeAlias = Literal["ask", "skip", "retry"]

AT_LEAST_ONCE: Final[Effect] = "at-least-once"
AT_MOST_ONCE: Final[Effect] = "at-most-once"
UNKNOWN_EFFECT = "UnknownEffect"  # the reason of a run that is paused by it


def check_effect(effect: object, on_unknown: object) -> None:
    """Raises `InvalidStep`."""
    if effect not in (AT_LEAST_ONCE, AT_MOST_ONCE):
        raise InvalidStep(f'effect= is "at-least-once" (the default) or "at-most-once", not {effect!r:.80}')
    if on_unknown not in (None, "ask", "skip", "retry"):
        raise InvalidStep(f'on_unknown= is "ask" (the default), "skip" or "retry", not {on_unknown!r:.80}')
    if on_unknown is not None and effect != AT_MOST_ONCE:
        raise InvalidStep(f'on_unknown={on_unknown!r} says nothing without effect="at-most-once"')


def left_unknown(stored: Step, retry: Retry | None) -> str:
    """Why nobody knows whether an at-most-once step that an earlier attempt left took effect; "": somebody does.

    A failure that was recorded is known when there is a retry policy: it says which errors are safe to repeat.
    """
    if stored.status is StepStatus.STARTED:
        return f"attempt {stored.attempt} ended while it ran"
    if stored.status is StepStatus.FAILED and not stored.final and retry is None:
        return f"it failed in attempt {stored.attempt}: {stored.error}"
    return ""


def question(run: str, name: str, key: str, why: str) -> str:
    """What a person is asked."""
    step = f"{name}={key}" if key else name
    return (
        f"step {label((name, key))} runs at most once, and whether it took effect is unknown: {why}. Find out. If it"
        f" did not, let it run again: resumable restart {quote(run)} --forget {quote(step)} (or spec.restart.forget)."
        ' If it did, say on_unknown="skip" in the code and unpause the run'
    )
