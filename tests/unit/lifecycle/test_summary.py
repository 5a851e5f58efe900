"""The tables that a person reads in `kubectl describe`."""

from datetime import timedelta

import pytest

from resumable.lifecycle.summary import duration, summary_of
from resumable.state.record import EndKind, RunStatus, Step, StepStatus
from tests.unit.lifecycle.builders import after, attempt, run, view


def step(number: int, status: StepStatus, **fields) -> Step:
    return Step(name="train-epoch", key=str(number), ordinal=number, status=status, **({"attempt": 3} | fields))


def test_steps_and_ended_attempts_are_two_aligned_tables() -> None:
    record = view(
        run(attempt=3),
        attempt(
            1,
            begun=after(),
            ended=after(minutes=61),
            last_saved=after(minutes=61),
            end_kind=EndKind.INTERRUPTION,
            cause="PreemptionByScheduler",
            exit_code=75,
        ),
        attempt(
            2,
            begun=after(minutes=62),
            ended=after(minutes=121),
            last_saved=after(minutes=120, seconds=12),
            end_kind=EndKind.INTERRUPTION,
            cause="NodeLost",
        ),
        attempt(3),
        steps=(
            step(1, StepStatus.DONE, tries=2, interruptions=1, started=after(), finished=after(minutes=24)),
            step(
                3,
                StepStatus.STARTED,
                tries=2,
                started=after(minutes=50),
                saved=after(minutes=81, seconds=27),
                progress_current=4100,
                progress_total=9800,
            ),
        ),
        steps_done=1,
        steps_total=2,
    )
    assert summary_of(record) == [
        "STEP            STATE      TRIES  STARTED (UTC)  TOOK  NOTE",
        "train-epoch[1]  Succeeded  2      12:00:00       24m   interrupted once",
        "train-epoch[3]  Running    2      12:50:00       -     4100/9800, saved 13:21:27",
        "",
        "ATTEMPT  POD        NODE  EXIT  RAN   LOST  ENDED BY",
        "1        import-r1  n1    75    1h1m  0s    PreemptionByScheduler",
        "2        import-r2  n1    -     59m   48s   NodeLost",
    ]


def test_a_new_run_has_nothing_to_show() -> None:
    assert summary_of(view(run(RunStatus.PENDING, attempt=0))) == []


def test_times_of_several_days_have_their_date() -> None:
    record = view(
        run(),
        steps=(step(1, StepStatus.DONE, started=after()), step(2, StepStatus.STARTED, started=after(hours=13))),
    )
    _, first, second = summary_of(record)
    assert "01-01 12:00:00" in first
    assert "01-02 01:00:00" in second


def test_a_step_whose_attempt_ended_is_not_called_running() -> None:
    record = view(run(attempt=4), steps=(step(1, StepStatus.STARTED, attempt=3),))
    assert "Interrupted" in summary_of(record)[1]


def test_a_failed_step_shows_its_error_on_one_line() -> None:
    record = view(run(), steps=(step(1, StepStatus.FAILED, error="OSError: disk\nfull " + "x" * 500),))
    [_, line] = summary_of(record)
    assert "OSError: disk full" in line
    assert len(line) < 160


def test_an_attempt_that_never_began_lost_nothing() -> None:
    record = view(run(attempt=2), attempt(1, begun=False, end_kind=EndKind.INTERRUPTION, cause="OutOfcpu"))
    assert summary_of(record)[1].split() == ["1", "import-r1", "n1", "-", "-", "-", "OutOfcpu"]


def test_what_is_left_out_is_counted() -> None:
    steps = tuple(step(n, StepStatus.DONE) for n in range(40))
    attempts = tuple(attempt(n, end_kind=EndKind.FAILURE) for n in range(1, 21))
    lines = summary_of(view(run(), *attempts, steps=steps, steps_done=40, steps_total=90))
    assert "(78 more, 40 of 90 done)" in lines
    assert lines[-1] == "(12 earlier)"
    assert len(lines) <= 40  # the CRD's maxItems


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.6, "1m"), (75, "1m15s"), (1440, "24m"), (3660, "1h1m"), (90000, "1d1h"), (8.64e6, "100d")],
)
def test_a_duration_has_two_units_at_most(seconds, text) -> None:
    assert duration(timedelta(seconds=seconds)) == text
