"""Whether a case went as the undisturbed run did. Pure: it compares two outcomes."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from resumable.sdk.effects import UNKNOWN_EFFECT
from resumable.state.record import Encoded, RunStatus
from resumable.testing.case import Outcome
from resumable.testing.recording import Finished, Forgotten, Happened, readable

_MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be different."""

    job: str
    repeats: int | None = None  # how often more an effect of a step that has not finished may happen; None: any
    varies: Collection[str] = ()  # steps (or the job) whose results may be different


def problems(undisturbed: Outcome, case: Outcome, rules: Rules) -> list[str]:
    """What is wrong with the case, a sentence each; nothing when it went well."""
    found = [*_repeated(undisturbed, case, rules.repeats)]
    if case.stuck and case.stuck != undisturbed.stuck:
        return [*found, case.stuck + _because(case)]
    paused = case.run.status is RunStatus.PAUSED and case.run.reason == UNKNOWN_EFFECT
    if case.recording.unknown or paused:
        return found  # nobody knows whether it took effect: a person decides, or the author has said what then
    return [*found, *_lost(undisturbed, case), *_different(undisturbed, case, rules)]


def _repeated(undisturbed: Outcome, case: Outcome, repeats: int | None) -> list[str]:
    usual = Counter(map(repr, undisturbed.recording.effects))
    steps: dict[str, set[str | None]] = {}  # by the effect, where it happened so far
    finished: set[str] = set()
    times: Counter[str] = Counter()
    found: dict[str, str] = {}
    for line in case.recording.lines:
        match line:
            case Finished(step):
                finished.add(step)
            case Forgotten(step):
                finished.discard(step)
            case Happened(effect, step):
                name = repr(effect)
                times[name] += 1
                before = steps.setdefault(name, set())
                again = usual[name] and times[name] > usual[name]
                if again and (why := _forbidden(step, before, finished, times[name] - usual[name], repeats)):
                    found[name] = why
                before.add(step)
    return [f"{_effect(case, name)} happened {_times(times[name], usual[name])}: {why}" for name, why in found.items()]


def _forbidden(step: str | None, before: set[str | None], finished: set[str], more: int, repeats: int | None) -> str:
    """Why it may not have happened again; "": it may."""
    if step is None or None in before:
        return "it is outside of any step, and such code runs again in each attempt; make it a step"
    if over := sorted({each for each in before if each is not None} & finished):
        return f"step {over[0]} had finished, and its effect came again in step {step}"
    if repeats is not None and more > repeats:
        return f"step {step} had not finished, but repeats={repeats}"
    return ""


def _lost(undisturbed: Outcome, case: Outcome) -> list[str]:
    usual = Counter(map(repr, undisturbed.recording.effects))
    times = Counter(map(repr, case.recording.effects))
    found = [
        f"{_effect(undisturbed, name)} was lost: it happened {_times(times[name], usual[name])}"
        for name in usual - times
    ]
    new = [name for name in times if name not in usual]
    return [*found, *(f"{_effect(case, name)} is none of the undisturbed run" for name in new)]


def _different(undisturbed: Outcome, case: Outcome, rules: Rules) -> list[str]:
    found = []
    if case.run.status is not undisturbed.run.status:
        found.append(f"the run is {case.run.status}, undisturbed {undisturbed.run.status}" + _because(case))
    elif case.run.reason != undisturbed.run.reason:
        found.append(f"the run's reason is {case.run.reason}, undisturbed {undisturbed.run.reason}")
    if rules.job not in rules.varies and case.run.result != undisturbed.run.result:
        found.append(f"the job's result is {_shown(case.run.result)}, undisturbed {_shown(undisturbed.run.result)}")
    for each in sorted({*case.steps} | {*undisturbed.steps}):
        if each.partition("[")[0] not in rules.varies:
            found += _different_step(each, undisturbed, case)
    if case.state != undisturbed.state:
        found.append(f"the state is {case.state!r:.200}, undisturbed {undisturbed.state!r:.200}")
    return found


def _different_step(step: str, undisturbed: Outcome, case: Outcome) -> list[str]:
    now, usual = case.steps.get(step), undisturbed.steps.get(step)
    if now is None or usual is None:
        where = "the undisturbed run" if now is None else "this run"
        return [f"step {step} is only in {where}: its name or its key comes from something that changes"]
    if now[0] != usual[0]:
        return [f"step {step} is {now[0]}, undisturbed {usual[0]}"]
    timeless = step in case.recording.waits  # a wait's result says when the signal was sent
    if _data(now[1], timeless) != _data(usual[1], timeless):
        return [f"the result of step {step} is {_shown(now[1])}, undisturbed {_shown(usual[1])}"]
    return []


def _data(result: Encoded | None, timeless: bool) -> Any:
    if result is None or not timeless:
        return result
    return _MOMENT.sub(b"", result.data)


def _shown(result: Encoded | None) -> str:
    return "nothing" if result is None else result.data[:100].decode(errors="replace")


def _because(case: Outcome) -> str:
    if case.error is None:
        return ""
    said = str(case.error).partition("\n")[0]  # pytest adds lines with addresses to an assertion
    return f" ({type(case.error).__name__}: {said})"


def _effect(outcome: Outcome, name: str) -> str:
    line = next(each for each in outcome.recording.lines if isinstance(each, Happened) and repr(each.effect) == name)
    return f"effect {readable(line.effect)}" + (f" of step {line.step}" if line.step else "")


def _times(times: int, usual: int) -> str:
    return f"{times} time{'' if times == 1 else 's'} instead of {usual}"
