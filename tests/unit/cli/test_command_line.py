"""The command line itself: what it imports, and how it says that something went wrong."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from resumable.cli.main import COMMANDS, LazyGroup, main


def test_the_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: main")


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["begin"])
    assert result.exit_code == 2
    assert "No such command 'begin'" in result.output


@pytest.mark.parametrize(
    ("command", "not_needed"),
    [
        (["run", "--help"], "kopf kubernetes litestar sqlalchemy"),
        (["controller", "--help"], "litestar sqlalchemy rich"),
        (["service", "--help"], "kopf rich"),
    ],
)
def test_a_command_imports_no_more_than_it_needs(command: list[str], not_needed: str) -> None:
    program = (
        "import sys\nfrom resumable.cli.main import main\n"
        f"try: main({command!r})\n"
        "except SystemExit: pass\n"
        f"print('imported', sorted(set({not_needed.split()!r}) & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "imported []" in result.stdout


def test_what_should_not_happen_is_one_sentence_unless_somebody_debugs(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.group(cls=LazyGroup)
    def group() -> None: ...

    def broken(self: object, ctx: object, name: str) -> click.Command:
        def fail() -> None:
            raise ZeroDivisionError("by zero")

        return click.Command(name, callback=fail)

    monkeypatch.setattr(LazyGroup, "get_command", broken)
    result = CliRunner().invoke(group, ["anything"])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "Error: ZeroDivisionError: by zero (this should not happen; RESUMABLE_DEBUG=1 shows where it did)"
    ]
    monkeypatch.setenv("RESUMABLE_DEBUG", "1")
    assert isinstance(CliRunner().invoke(group, ["anything"]).exception, ZeroDivisionError)


def test_a_store_that_is_no_store_is_named() -> None:
    result = CliRunner().invoke(main, ["list", "--store-url", "oracle://somewhere"])
    assert result.exit_code == 1
    assert "oracle" in result.output
    assert "sqlite" in result.output


def test_a_service_that_would_be_open_to_everybody_is_refused() -> None:
    result = CliRunner().invoke(main, ["service", "--store-url", "sqlite:////tmp/x.db", "--auth", "none"])
    assert result.exit_code == 2
    assert "127.0.0.1" in result.output
