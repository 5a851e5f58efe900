"""Shell scripts as jobs: `resumable exec` and what a script calls in it, as real processes that are killed.

The log of effects, written by the scripts' commands, is the judge.
"""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from resumable.sdk import environment
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.shell import client
from resumable.state.open import open_store
from resumable.state.record import RunStatus
from tests.sdk.process import JOBS, JobProcess, Workplace, wait_for
from tests.sdk.worker_runs import RUN, create, mint, run_of

SCRIPTS = JOBS / "shell"
LONG_GRACE = {"RESUMABLE_GRACE_SECONDS": "600"}
SHORT_GRACE = {"RESUMABLE_GRACE_SECONDS": "2"}

ROWS = [f"row {n}" for n in range(1, 13)]
ALL = ["open", *ROWS, "ship eu token-17", "ship us token-17"]


def start(place: Workplace, script: str, *arguments: str, env: dict[str, str] | None = None) -> JobProcess:
    return place.start("command", "exec", "--", "sh", str(SCRIPTS / f"{script}.sh"), *arguments, env=env)


def scene(place: Workplace, name: str, env: dict[str, str] | None = None) -> JobProcess:
    return start(place, "scenes", name, env=env)


def inline(place: Workplace, script: str) -> JobProcess:
    process = place.start("command", "exec", "--name", "inline", "--", "sh", "-euc", script)
    process.exit_code()
    return process


def test_what_is_done_is_not_done_again_and_its_output_is_printed_again(place: Workplace) -> None:
    first = start(place, "import")
    assert first.exit_code() == ExitCode.DONE, first.log
    assert first.output == "12 rows\nclosed token-17\n"
    assert place.effects() == ALL
    again = start(place, "import")
    assert again.exit_code() == ExitCode.DONE
    assert "is done already" in again.log
    assert place.effects() == ALL


@pytest.mark.parametrize("effect", ["open", "row 1", "row 7", "row 12", "ship eu token-17", "ship us token-17"])
def test_killed_anywhere_it_goes_on_and_repeats_one_effect_at_most(place: Workplace, effect: str) -> None:
    first = start(place, "import")
    first.wait_for_effect(effect)
    first.kill()
    second = start(place, "import")
    assert second.exit_code() == ExitCode.DONE, second.log
    assert second.output == "12 rows\nclosed token-17\n"
    counted = Counter(place.effects())
    assert set(counted) == set(ALL), "nothing is missing"
    assert sum(counted.values()) - len(ALL) <= 1, f"more than what was under way was repeated: {place.effects()}"


@pytest.mark.parametrize("effect", ["row 1", "row 7"])
def test_told_to_stop_it_leaves_after_a_save_and_nothing_is_done_twice(place: Workplace, effect: str) -> None:
    rows = {"ROWS": "80"}
    first = start(place, "import", env=LONG_GRACE | rows)
    first.wait_for_effect(effect)
    first.signal(signal.SIGTERM)
    assert first.exit_code() == ExitCode.INTERRUPTED, first.log
    assert "interrupted: SIGTERM" in first.log
    assert "row 80" not in place.effects(), "it stopped at a save, not at the end of its step"
    second = start(place, "import", env=rows)
    assert second.exit_code() == ExitCode.DONE, second.log
    written = [effect for effect in place.effects() if effect.startswith("row")]
    assert written == [f"row {n}" for n in range(1, 81)], "nothing twice, nothing missing"
    assert place.effects()[-2:] == ALL[-2:]


def test_a_script_that_is_told_between_steps_stops_at_its_next_step(place: Workplace) -> None:
    first = scene(place, "between", LONG_GRACE)
    first.wait_for_effect("between")
    first.signal(signal.SIGTERM)
    wait_for(lambda: "leaving at the next safe point" in first.log, "the signal to be told")
    assert first.running(), "it is not killed between its steps"
    (place.folder / "go").touch()
    assert first.exit_code() == ExitCode.INTERRUPTED
    assert place.effects() == ["between"]
    assert scene(place, "between").exit_code() == ExitCode.DONE
    assert place.effects() == ["between", "between", "two"]


def test_a_script_without_set_e_can_not_make_a_success_of_it(place: Workplace) -> None:
    first = scene(place, "careless", LONG_GRACE)
    first.wait_for_effect("between")
    first.signal(signal.SIGTERM)
    wait_for(lambda: "leaving at the next safe point" in first.log, "the signal to be told")
    (place.folder / "go").touch()
    assert first.exit_code() == ExitCode.INTERRUPTED
    assert place.effects() == ["between"]


def test_a_command_without_safe_points_is_sent_sigterm_at_once(place: Workplace) -> None:
    first = scene(place, "long-command", LONG_GRACE)
    first.wait_for_effect("begins")
    first.signal(signal.SIGTERM)
    assert first.exit_code() == ExitCode.INTERRUPTED, first.log
    assert place.effects() == ["begins", "told"]
    assert "failed" not in first.log, "an interruption is no failure"


def test_a_command_that_takes_no_notice_is_killed_before_the_deadline(place: Workplace) -> None:
    first = scene(place, "deaf-command", SHORT_GRACE)
    first.wait_for_effect("begins")
    first.signal(signal.SIGTERM)
    assert first.exit_code(seconds=10) == ExitCode.INTERRUPTED, first.log
    assert "no safe point was reached in time" not in first.log, "it left by itself, not by the watchdog"


def test_a_program_that_never_calls_us_is_sent_sigterm_and_what_it_exits_with_is_an_interruption(
    place: Workplace,
) -> None:
    first = scene(place, "plain", LONG_GRACE)
    first.wait_for_effect("begins")
    first.signal(signal.SIGTERM)
    assert first.exit_code() == ExitCode.INTERRUPTED, first.log
    assert place.effects() == ["begins", "told"]


def test_a_long_wait_ends_the_process_and_the_signal_lets_the_next_one_go_on(place: Workplace) -> None:
    first = scene(place, "approval")
    assert first.exit_code() == ExitCode.WAITING, first.log
    assert "resumable signal scenes approval" in first.log
    assert scene(place, "approval").exit_code() == ExitCode.WAITING
    assert place.run("command", "signal", "scenes", "approval", "--payload", '"yes"').exit_code() == 0
    assert scene(place, "approval").exit_code() == ExitCode.DONE
    assert place.effects() == ["answer yes"]


def test_a_wait_that_nobody_answers_ends_with_124(place: Workplace) -> None:
    process = scene(place, "timeout")
    assert process.exit_code() == ExitCode.DONE, process.log
    assert place.effects() == ["gave-up"]


def test_a_long_sleep_needs_no_process(place: Workplace) -> None:
    assert scene(place, "sleep").exit_code() == ExitCode.WAITING
    wait_for(lambda: scene(place, "sleep").exit_code() == ExitCode.DONE, "the sleep to be over")
    assert place.effects() == ["slept"]


@pytest.mark.parametrize(
    ("name", "code", "effects"),
    [
        ("retry", ExitCode.DONE, ["try"] * 3),
        ("spent", ExitCode.FAILED_FOR_GOOD, ["try"] * 2),
        ("caught", ExitCode.DONE, ["try", "try", "caught 78"]),
        ("late", ExitCode.FAILED, ["begins"]),
    ],
)
def test_what_becomes_of_a_command_that_fails(place: Workplace, name: str, code: ExitCode, effects: list[str]) -> None:
    process = scene(place, name)
    assert process.exit_code() == code, process.log
    assert place.effects() == effects
    assert "Traceback" not in process.log


def test_a_step_that_may_run_once_only_pauses_the_run_when_its_end_is_unknown(place: Workplace) -> None:
    first = scene(place, "once")
    first.wait_for_effect("debit")
    first.kill()
    second = scene(place, "once")
    assert second.exit_code() == ExitCode.WAITING, second.log
    assert "--unpause" in second.log
    assert place.effects() == ["debit"]


def test_steps_may_run_side_by_side(place: Workplace) -> None:
    process = scene(place, "parallel")
    assert process.exit_code() == ExitCode.DONE, process.log
    assert sorted(place.effects()) == [f"part {n}" for n in (1, 2, 3, 4)]


def test_a_script_that_does_not_wait_for_a_step_has_not_succeeded(place: Workplace) -> None:
    process = scene(place, "unwaited")
    assert process.exit_code() == ExitCode.FAILED
    assert "the script ended while `step part` was under way; end it with `wait`" in process.log


@pytest.mark.parametrize(
    ("script", "code", "sentence"),
    [
        ("resumable step a -- resumable step b -- true", 1, "step 'b' is inside step 'a': steps don't nest"),
        ("resumable step a -- true; resumable step a -- true", 1, "give each pass its own: resumable step a --key ID"),
        ("resumable save 3", 1, "`resumable save` belongs into the command of a step"),
        ("resumable cursor", 1, "`resumable cursor` belongs into the command of a step"),
        ("resumable step", 1, "Missing argument 'NAME'"),
        ("resumable step a --timeout 5x -- true", 1, "'5x' is not a duration"),
        ("resumable step a -- ./no-such-command", 1, "./no-such-command: No such file or directory"),
        ("resumable step a -- head -c 20000000 /dev/zero", 1, "printed more than"),
        ("resumable step a -- printf '\\377'", 1, "is not text in UTF-8; write it to a file"),
        (f"resumable exec -- {sys.executable} -V", 1, "`resumable exec` is called inside another one"),
        (f"{sys.executable} {JOBS / 'import_rows.py'}", 1, "is started inside of `resumable exec`"),
        ("exit 78", 78, "trying again would not help"),
        ("kill -9 $$", 1, "the script ended with SIGKILL"),
    ],
)
def test_a_mistake_gets_a_sentence(place: Workplace, script: str, code: int, sentence: str) -> None:
    process = inline(place, script)
    assert process.exit_code() == code, process.log
    assert sentence in process.log
    assert "Traceback" not in process.log


def test_outside_of_exec_a_call_says_where_it_belongs(place: Workplace) -> None:
    process = place.run("command", "step", "a", "--", "true")
    assert process.exit_code() == 2
    assert "works inside a script that `resumable exec` has started" in process.log


def test_a_script_that_is_not_there_is_a_failure_with_a_sentence(place: Workplace) -> None:
    process = place.run("command", "exec", "--", "./no-such.sh")
    assert process.exit_code() == ExitCode.FAILED
    assert "./no-such.sh can't be started: No such file or directory" in process.log


def test_the_script_has_the_input_and_not_the_fence(place: Workplace) -> None:
    script = 'env | grep ^RESUMABLE_ | cut -d= -f1 | sort; echo "$RESUMABLE_INPUT"'
    process = place.run("command", "exec", "--name", "n", "--set", "rows=3", "--", "sh", "-c", script)
    assert process.output == 'RESUMABLE_INPUT\nRESUMABLE_SOCKET\n{"rows":3}\n'


def test_a_script_that_outlives_its_exec_is_told_and_changes_nothing(place: Workplace) -> None:
    first = scene(place, "between")
    first.wait_for_effect("between")
    first.kill()
    second = scene(place, "between")
    wait_for(lambda: place.effects() == ["between", "between"], "the second to begin")
    (place.folder / "go").touch()
    assert second.exit_code() == ExitCode.DONE
    wait_for(lambda: "the `resumable exec` that started this script is gone" in first.log, "the first to be told")
    assert place.effects() == ["between", "between", "two"]


def test_the_command_of_a_step_does_not_outlive_a_killed_exec(place: Workplace) -> None:
    first = scene(place, "deaf-command")
    first.wait_for_effect("begins")
    command = Path(f"/proc/{(place.folder / 'pid').read_text().strip()}")
    assert command.exists()
    first.kill()
    wait_for(lambda: not command.exists(), "the command to be killed")


def test_as_the_operators_worker_it_passes_no_fence_on(place: Workplace, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'operator.db'}"
    store = open_store(url)
    create(store, "import", b"{}")
    worker = mint(store, url=url)
    script = "env | grep ^RESUMABLE_ | cut -d= -f1 | sort"
    process = place.run("command", "exec", "--name", "n", "--", "sh", "-c", script, env=worker)
    assert process.output.split() == ["RESUMABLE_GRACE_SECONDS", "RESUMABLE_INPUT", "RESUMABLE_SOCKET"], process.log
    store.close()


def test_as_the_operators_worker_it_ends_the_run(place: Workplace, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'operator.db'}"
    store = open_store(url)
    create(store, "import", b"{}")
    killed = start(place, "import", env=mint(store, url=url))
    killed.wait_for_effect("row 5")
    zombie = mint(store, url=url)  # the next attempt is minted while this one lives
    assert killed.exit_code() == ExitCode.FENCED, killed.log
    last = start(place, "import", env=zombie)
    assert last.exit_code() == ExitCode.DONE, last.log
    assert run_of(store).status is RunStatus.SUCCEEDED
    assert [step.name for step in store.list_steps(RUN)] == ["open", "rows", "ship", "ship"]
    store.close()


def test_a_call_imports_next_to_nothing_and_not_this_package() -> None:
    program = f"import sys; exec(open({client.__file__!r}).read(), {{'__name__': 'client'}}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert not {"json", "re", "argparse", "subprocess", "click", "msgspec", "resumable"} & set(loaded.stdout.split())
    assert environment.SOCKET == client.SOCKET
