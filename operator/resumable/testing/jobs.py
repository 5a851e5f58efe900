"""`Jobs`: the fixture `jobs`."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, cast

from resumable.sdk import codec
from resumable.sdk.annotations import result_type
from resumable.sdk.durations import duration
from resumable.sdk.errors import EventLoopRunning, RunNotRunnable
from resumable.sdk.job import JobDefinition
from resumable.sdk.step_options import check_name
from resumable.state.record import RunStatus
from resumable.state.sql.sqlite import SQLite
from resumable.state.sql.store import SqlStore
from resumable.state.store import NewSignal
from resumable.testing.case import RUN_ID, Case, Outcome, Script, quietly
from resumable.testing.clock import StoreClock
from resumable.testing.judge import Rules, problems
from resumable.testing.life import Life
from resumable.testing.points import Point, points
from resumable.testing.recording import Effect

R = TypeVar("R")

Interrupt: TypeAlias = Literal["everywhere", "never"] | int

_SHOWN = 5  # problems in one message


class Jobs:
    """Runs jobs in this process, on a store in memory, without a server. Time stands still, and travels.

    `folder` is for checkpoint files; it is made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cases = itertools.count(1)
        self._store = SqlStore("sqlite://")
        self._clock = StoreClock()
        assert isinstance(self._store.database, SQLite)
        self._store.database.clock = self._clock
        self._signals: list[NewSignal] = []
        self._early: list[NewSignal] = []
        self._laid_ready = 0
        self._case: Case | None = None
        self._effects: list[Effect] = []
        self._points = 0

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def run(
        self,
        job: JobDefinition[..., R],
        values: Mapping[str, Any] | None = None,
        /,
        *,
        interrupt: Interrupt = "everywhere",
        repeats: int | None = None,
        varies: Collection[str] = (),
        fresh: Callable[[], object] = lambda: None,
        state: Callable[[], object] = lambda: None,
    ) -> R:
        """The job's result, when it is the same wherever the job is interrupted; else an `AssertionError` that says
        where what was lost, repeated or different.

        ```python
        def test_provision(jobs: Jobs) -> None:
            shop.charge = lambda customer: jobs.effect("charged", customer)
            jobs.signal("approval", Approval(granted=True))
            assert jobs.run(provision, {"name": "Ann"}) == "active"
        ```

        First the job runs undisturbed. Then once for each *point* of that run: killed before and after each call of the
        store, before each safe point, and after each effect; and asked to leave at each safe point and each look at
        `step.stopping`, as the head of each turn of `iterate` is one. The next attempt goes on, to the end.
        `interrupt`: "never" runs it undisturbed only, a number is the one point of that number.

        An effect outside of steps may not come again, nor one of a step that had finished. One of a step that had not
        may: `repeats` says how often more at most (0: not at all). None may be lost. `varies` names steps, or the job,
        whose results may differ. `fresh` is called before each case, to set the test's own fakes back; what `state`
        returns after each has to be the same.

        A run that waits gets the signals that `jobs.signal` has laid ready; when there is none time goes on to the end
        of the wait. An attempt that fails is followed by the next, up to six times. Raises what the job failed with,
        `RunNotRunnable` when the run is paused, `InvalidInput`.
        """
        __tracebackhide__ = True
        _check(interrupt, repeats)
        value = job.inputs.encode({} if values is None else values)
        script = Script(job, value, tuple(self._early), tuple(self._signals), fresh, state)
        self._clock.set_beginning()
        undisturbed = self._play(script)
        self._effects = undisturbed.recording.effects
        if undisturbed.stuck and not isinstance(undisturbed.error, Exception):
            raise AssertionError(f"job {job.name!r}: {undisturbed.stuck}")
        if not undisturbed.stuck and interrupt != "never":
            self._interrupted(script, undisturbed, Rules(job.name, repeats, varies), interrupt)
        self._early, self._signals = [], []
        return cast(R, _value(job, undisturbed))

    @property
    def points(self) -> int:
        """How many points the last `run` has tried."""
        return self._points

    # What the author's fakes say and do

    def effect(self, name: str, /, *details: Any) -> None:
        """Say that something was done to the world: `jobs.effect("charged", customer.id)`. For the author's fakes.

        It counts for the step in which it is called. Raises `ProcessKilled` in what is left of a process that was
        killed, and `RuntimeError` when no job runs.
        """
        self._living("effect()").effect((name, *details))

    @property
    def effects(self) -> list[Effect]:
        """The effects so far of the case that runs; after `run` those of the undisturbed one."""
        return list(self._effects) if self._case is None else self._case.recording.effects

    def signal(
        self, name: str, payload: Any = None, /, *, sender: str = "test", id: str | None = None, early: bool = False
    ) -> None:
        """Send a signal: `jobs.signal("approval", Approval(granted=True))`.

        Before `run` it is laid ready: in each case it is sent when the run waits for one of its name, in order; with
        `early` it is there before the run begins. Called by a fake while the job runs it is sent at once.
        """
        check_name(name)
        encoded = None if payload is None else codec.encode(payload, type(payload), of=f"signal {name!r}: the payload")
        if self._case is not None:
            self._living("signal()").check()
            sent = f"{name}-sent-{self._case.next_signal()}"  # in each case the same
            self._store.send_signal(RUN_ID, NewSignal(id=id or sent, name=name, payload=encoded, sender=sender))
            return
        self._laid_ready += 1
        signal = NewSignal(id=id or f"{name}-{self._laid_ready}", name=name, payload=encoded, sender=sender)
        (self._early if early else self._signals).append(signal)

    def advance(self, length: str | timedelta, /) -> None:
        """Let the store's clock go on: `jobs.advance("3d")`. Before `run`, or by a fake while the job runs.

        Waits need it not: what a run waits for is waited for at once.
        """
        if self._case is not None:
            self._living("advance()").check()
        self._clock.advance(duration(length))

    @property
    def now(self) -> datetime:
        """The store's clock."""
        return self._clock.now

    # How it is done

    def _living(self, call: str) -> Life:
        life = Life.of_this_code() or (self._case.life if self._case is not None else None)
        if life is None:
            raise RuntimeError(f"jobs.{call} says what a job does: call it while jobs.run(…) runs one")
        return life

    def _play(self, script: Script, point: Point | None = None) -> Outcome:
        case = self._case = Case(script, self._store, self._clock, self._folder / f"case-{next(self._cases)}", point)
        try:
            return case.play()
        finally:
            self._case = None

    def _interrupted(self, script: Script, undisturbed: Outcome, rules: Rules, interrupt: Interrupt) -> None:
        __tracebackhide__ = True  # what a person wants to see is the test
        everywhere = points(undisturbed.recording.events)
        chosen = list(enumerate(everywhere, 1))
        if isinstance(interrupt, int):
            if interrupt > len(everywhere):
                raise ValueError(f"interrupt={interrupt}: the job has the points 1 to {len(everywhere)}")
            chosen = chosen[interrupt - 1 : interrupt]
        found: dict[str, list[str]] = defaultdict(list)
        cause: BaseException | None = None
        with quietly():
            self._check_same_twice(script, undisturbed, rules)
            for number, point in chosen:
                case = self._play(script, point)
                planned = point.at(undisturbed.recording.events[point.event])
                where = f"interrupt={number}: {case.recording.struck or planned}"
                for problem in problems(undisturbed, case, rules) or _not_struck(case):
                    found[problem].append(where)
                    cause = cause or (case.error if isinstance(case.error, Exception) else None)
        self._points = len(chosen)
        if found:
            raise AssertionError(_message(script.definition.name, found, len(chosen))) from cause

    def _check_same_twice(self, script: Script, undisturbed: Outcome, rules: Rules) -> None:
        __tracebackhide__ = True
        again = problems(undisturbed, self._play(script), Rules(rules.job, None, rules.varies))
        if again:
            raise AssertionError(
                f"job {script.definition.name!r}: undisturbed it is another one the second time: {again[0]}."
                " If the test's own fakes remember the first time, give fresh=, which sets them back; if the result of"
                " a step is meant to be another one each time, say varies=[its name]"
            )


def _check(interrupt: Interrupt, repeats: int | None) -> None:
    if interrupt not in ("everywhere", "never") and (not isinstance(interrupt, int) or interrupt < 1):
        raise ValueError(f'interrupt= is "everywhere", "never" or a point\'s number, 1 or more, not {interrupt!r}')
    if repeats is not None and repeats < 0:
        raise ValueError(f"repeats= is a number, 0 or more, or None (any), not {repeats!r}")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise EventLoopRunning("jobs.run() runs a job to its end, an async one too: call it in a plain `def test_…`")


def _not_struck(case: Outcome) -> list[str]:
    if case.recording.struck or case.recording.concurrent:
        return []
    return ["the point was not reached: the job went another way than undisturbed; do the test's fakes need fresh=?"]


def _value(job: JobDefinition[..., Any], undisturbed: Outcome) -> Any:
    run = undisturbed.run
    if run.status is RunStatus.SUCCEEDED:
        if run.result is None:
            return None
        return codec.decode(run.result, result_type(job.function), of=f"job {job.name!r}: the result")
    if isinstance(undisturbed.error, Exception):
        raise undisturbed.error
    raise RunNotRunnable(f"the run is {run.status} ({run.reason}): {run.message or undisturbed.stuck}")


def _message(job: str, found: Mapping[str, list[str]], tried: int) -> str:
    lines = [f"job {job!r} does not survive everywhere ({tried} points tried):"]
    for problem, where in itertools.islice(found.items(), _SHOWN):
        more = f", and at {len(where) - 1} more" if len(where) > 1 else ""
        lines += [f"  {problem}", f"    at {where[0]}{more}"]
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN} more problems")
    return "\n".join(lines)
