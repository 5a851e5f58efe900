"""`python my_job.py`: started, finished, started again, killed, refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

from resumable.sdk.exit_codes import ExitCode
from tests.sdk.process import Workplace, wait_for


def imported(folder: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(folder / "target.db")) as database:
        return database.execute("SELECT id, text FROM row ORDER BY id").fetchall()


def test_it_runs_on_a_local_file_and_prints_its_result(place: Workplace) -> None:
    process = place.run("import_rows", "--set", "rows=30")
    assert process.exit_code() is not None
    assert process.exit_code() == ExitCode.DONE
    assert process.output == "435\n"
    assert "run import-rows (the job's name; --id names another)" in process.log
    assert (place.folder / ".resumable" / "state.db").exists()
    assert (place.folder / ".resumable" / ".gitignore").read_text() == "*\n"


def test_a_finished_run_prints_its_stored_result_and_runs_nothing(place: Workplace) -> None:
    place.run("import_rows", "--set", "rows=30")
    before = place.effects()
    again = place.run("import_rows")
    assert (again.exit_code(), again.output) == (ExitCode.DONE, "435\n")
    assert "is done already" in again.log
    assert place.effects() == before


def test_another_id_is_another_run(place: Workplace) -> None:
    assert place.run("import_rows", "--id", "a", "--input", '{"rows": 3}').output == "3\n"
    assert place.run("import_rows", "--id", "b", "--input", '{"rows": 3}').output == "3\n"
    assert place.effects().count("total") == 2


def test_the_store_may_be_another_file(place: Workplace) -> None:
    place.run("import_rows", "--store", "elsewhere/state.db", "--set", "rows=3")
    assert (place.folder / "elsewhere" / "state.db").exists()
    assert not (place.folder / ".resumable").exists()


def test_wrong_input_is_one_sentence_and_starts_nothing(place: Workplace) -> None:
    process = place.run("import_rows", "--set", "rows=many")
    assert process.exit_code() == ExitCode.FAILED_FOR_GOOD
    assert "job 'import-rows': the input 'rows' must be int, not \"many\"" in process.log
    assert "Traceback" not in process.log
    assert not (place.folder / ".resumable").exists()


def test_a_killed_run_goes_on_when_it_is_started_again(place: Workplace) -> None:
    first = place.start("import_rows", "--set", "rows=200", "--set", "pause=0.01")
    first.wait_for_effect("row 30")
    first.kill()
    second = place.run("import_rows")
    assert (second.exit_code(), second.output) == (ExitCode.DONE, f"{sum(range(200))}\n")
    assert "step import: goes on from cursor" in second.log
    effects = place.effects()
    assert effects.count("create-table") == 1
    assert imported(place.folder) == [(n, f"row {n}") for n in range(200)]
    assert max(effects.count(f"row {n}") for n in range(200)) <= 2


def test_killed_at_many_moments_it_misses_no_row_and_repeats_no_step(place: Workplace) -> None:
    """Killed after each 25 effects or so; only the batch that was not yet saved is ever done again."""
    kills = 0
    while True:
        seen = len(place.effects())
        process = place.start("import_rows", "--set", "rows=150", "--set", "pause=0.001")
        wait_for(lambda: len(place.effects()) > seen + 25 + kills * 7 % 10 or not process.running(), "some effects")  # noqa: B023
        if not process.running():
            break
        process.kill()
        kills += 1
    assert process.exit_code() == ExitCode.DONE, process.log
    assert kills >= 3
    effects = place.effects()
    assert imported(place.folder) == [(n, f"row {n}") for n in range(150)]
    assert effects.count("create-table") == 1
    assert effects.count("total") == 1
    repeated = sum(effects.count(f"row {n}") - 1 for n in range(150))
    assert repeated <= kills * 10


def test_a_failing_step_shows_the_authors_trace_and_runs_again(place: Workplace) -> None:
    for attempt in (1, 2):
        process = place.run("scenes", "--set", "scene=error")
        assert process.exit_code() == ExitCode.FAILED
        assert "ValueError: bad row 7" in process.log
        assert "in raise_error" in process.log
        assert "operator/resumable/sdk" not in process.log
        assert place.effects() == ["raise"] * attempt


def test_the_second_process_of_a_run_is_told_who_has_it_and_does_nothing(place: Workplace) -> None:
    first = place.start("scenes", "--set", "scene=waiting")
    first.wait_for_effect("waits")
    second = place.run("scenes", "--set", "scene=waiting")
    assert second.exit_code() == ExitCode.FENCED
    assert f"run 'scenes' is being run by process {first.pid}" in second.log
    (place.folder / "go").touch()
    assert first.exit_code() == ExitCode.DONE
    assert place.effects() == ["waits"]


def test_a_lost_lock_lets_a_second_process_in_and_the_fence_keeps_the_first_out(place: Workplace) -> None:
    first = place.start("scenes", "--set", "scene=saving")
    wait_for(lambda: len(place.effects()) > 3, "some saves")
    (lock,) = (place.folder / ".resumable" / "locks").iterdir()
    lock.unlink()
    second = place.start("scenes")
    wait_for(lambda: any(effect.endswith(f" {second.pid}") for effect in place.effects()), "a save of the second")
    assert first.exit_code() == ExitCode.FENCED
    assert "attempt 1 of run scenes may not write any more" in first.log
    (place.folder / "go").touch()
    assert second.exit_code() == ExitCode.DONE
    saved = [effect.split() for effect in place.effects()]
    own_of_first = [int(turn) for _, turn, *_, pid in saved if int(pid) == first.pid]
    own_of_second = [int(turn) for _, turn, *_, pid in saved if int(pid) == second.pid]
    assert own_of_second[0] == own_of_first[-1] + 1, "it goes on where the first was, and the first saved nothing after"


def test_sys_exit_in_a_job_does_not_pass_for_an_end(place: Workplace) -> None:
    assert place.run("scenes", "--set", "scene=exit", "--set", "number=0").exit_code() == ExitCode.FAILED
    assert place.run("scenes", "--id", "b", "--set", "scene=exit", "--set", "number=75").exit_code() == ExitCode.FAILED
    assert place.run("scenes", "--id", "c", "--set", "scene=exit", "--set", "number=3").exit_code() == 3


def test_help_says_what_the_job_is_and_that_it_goes_on(place: Workplace) -> None:
    process = place.run("import_rows", "--help")
    assert "Import rows, a batch at a time." in process.output
    assert process.exit_code() == 0
