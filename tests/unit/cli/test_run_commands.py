"""`resumable signal`, `restart` and `fork` on a store, and what they say of what can't be."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from resumable.cli.main import main
from resumable.state.outcome import Changed
from resumable.state.record import Encoded, EndKind, RunStatus, Write
from resumable.state.sql.store import SqlStore
from resumable.state.store import AttemptEnd, Beginning, Expected, FinishedStep, NewRun, RunEnd, Store

RUN = "shop/import"


class Shell:
    """The command line on one store."""

    def __init__(self, file: Path) -> None:
        self.url = f"sqlite:///{file}"
        self.store: Store = SqlStore(self.url)

    def __call__(self, *arguments: str) -> Result:
        command, *rest = arguments
        result = CliRunner().invoke(main, [command, *rest, "-n", "shop", "--store-url", self.url])
        assert "Traceback" not in result.output
        return result

    def run(self, *steps: str, end: RunEnd | None = None) -> None:
        """A run with these steps done; `end` None: its attempt is under way."""
        run = self.store.create_run(NewRun(id=RUN, namespace="shop", name="import", input=Encoded("json", b'{"a":1}')))
        minted = self.store.mint(RUN, Expected.of(run), "nonce")
        assert isinstance(minted, Changed)
        fence = minted.run.fence
        self.store.begin(fence, Beginning(process_id="p"))
        for number, name in enumerate(steps):
            step = FinishedStep(name=name, ordinal=number, result=Encoded("json", b"1"))
            self.store.finish_step(fence, Write(f"write-{name}", number), step)
        if end is not None:
            self.store.end_run(fence, Write("end", len(steps)), end)
            counted = AttemptEnd(attempt=1, kind=EndKind.COMPLETION, cause="Completed", to=end.status)
            self.store.count_end(RUN, counted)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path / "state.db")
    yield shell
    shell.store.close()


WAITS = RunEnd(status=RunStatus.WAITING, reason="SignalWait", wake_on=("approval",))
DONE = RunEnd(status=RunStatus.SUCCEEDED)


class TestSignal:
    def test_one_that_is_waited_for_wakes_the_run(self, shell: Shell) -> None:
        shell.run(end=WAITS)
        result = shell("signal", "import", "approval", "--payload", '{"granted": true}', "--id", "mail-1")
        assert result.exit_code == 0
        assert result.output == "sent approval to import (id mail-1): it waits for that, and goes on\n"
        [signal] = shell.store.list_signals(RUN)
        assert signal.payload is not None
        assert json.loads(signal.payload.data) == {"granted": True}
        assert "@" in signal.sender
        run = shell.store.get_run(RUN)
        assert run is not None
        assert run.status is RunStatus.PENDING

    def test_one_that_nothing_waits_for_is_kept(self, shell: Shell) -> None:
        shell.run(end=WAITS)
        assert "kept until a wait takes it" in shell("signal", RUN, "refusal").output

    def test_the_same_id_counts_once(self, shell: Shell) -> None:
        shell.run(end=WAITS)
        shell("signal", "import", "approval", "--id", "mail-1")
        assert (
            "has the signal with the id mail-1 already"
            in shell("signal", "import", "approval", "--id", "mail-1").output
        )
        assert len(shell.store.list_signals(RUN)) == 1

    def test_a_run_that_is_over_takes_none(self, shell: Shell) -> None:
        shell.run(end=DONE)
        result = shell("signal", "import", "approval")
        assert (result.exit_code, result.output) == (
            1,
            "Error: import is over (Succeeded): no wait will take a signal\n",
        )

    @pytest.mark.parametrize("payload", ["yes", "{granted: true}", ""])
    def test_a_payload_that_is_no_json_is_a_usage_error(self, shell: Shell, payload: str) -> None:
        shell.run(end=WAITS)
        result = shell("signal", "import", "approval", "--payload", payload)
        assert result.exit_code == 2
        assert f"--payload {payload!r} is not JSON" in result.output

    def test_a_run_that_is_not_there_is_named_beside_those_that_are(self, shell: Shell) -> None:
        shell.run(end=WAITS)
        result = shell("signal", "imprt", "approval")
        assert result.exit_code == 2
        assert "there is no run 'imprt' in namespace 'shop'; the runs in this store: shop/import" in result.output

    def test_describe_shows_who_sent_what_and_what_took_it(self, shell: Shell) -> None:
        shell.run(end=WAITS)
        shell("signal", "import", "approval", "--id", "mail-1")
        lines = shell("describe", "import").output.splitlines()
        [line] = [line for line in lines if line.startswith("approval")]
        assert line.split()[:2] == ["approval", "mail-1"]
        assert line.endswith("  -")


class TestRestart:
    def test_a_finished_run_goes_on_from_the_step(self, shell: Shell) -> None:
        shell.run("load", "report", end=DONE)
        result = shell("restart", "import", "--from-step", "report", "--request-id", "1")
        assert result.output == "import starts again (request 1)\n"
        assert [step.name for step in shell.store.list_steps(RUN)] == ["load"]
        assert "carried out before" in shell("restart", "import", "--request-id", "1").output

    def test_a_run_that_is_under_way_is_left_alone(self, shell: Shell) -> None:
        shell.run("load")
        result = shell("restart", "import")
        assert result.exit_code == 1
        assert "import is Running: its attempt 1 has not ended" in result.output
        assert "spec.restart" in result.output

    def test_a_wrong_step_is_named_beside_those_that_are(self, shell: Shell) -> None:
        shell.run("load", "report", end=DONE)
        result = shell("restart", "import", "--from-step", "laod=7")
        assert result.exit_code == 1
        assert "has no step laod[7]; it has load, report" in result.output

    @pytest.mark.parametrize("option", ["--from-step", "--forget"])
    def test_a_step_has_a_name(self, shell: Shell, option: str) -> None:
        shell.run("load", end=DONE)
        result = shell("restart", "import", option, "=7")
        assert result.exit_code == 2
        assert "'=7' names no step; write NAME, or NAME=KEY" in result.output


class TestFork:
    def test_a_run_begins_with_the_history_of_another(self, shell: Shell) -> None:
        shell.run("load", "clean", "report", end=DONE)
        result = shell("fork", "import", "shop/trial", "--up-to", "clean", "--input", '{"a": 2}')
        assert result.output == "run shop/trial begins with 2 done steps of shop/import\n"
        run = shell.store.get_run("shop/trial")
        assert run is not None
        assert (run.name, run.status, run.forked_from) == ("trial", RunStatus.PENDING, RUN)
        assert run.input == Encoded("json", b'{"a":2}')
        assert [step.name for step in shell.store.list_steps("shop/trial")] == ["load", "clean"]

    def test_a_run_that_is_there_is_not_touched(self, shell: Shell) -> None:
        shell.run("load", end=DONE)
        result = shell("fork", "import", RUN)
        assert result.exit_code == 2
        assert "there is a run 'shop/import' already; name another" in result.output

    def test_an_input_is_an_object(self, shell: Shell) -> None:
        shell.run("load", end=DONE)
        result = shell("fork", "import", "shop/trial", "--input", "[1]")
        assert result.exit_code == 2
        assert "is not a JSON object" in result.output
