"""The entry point of the command `resumable`."""

import importlib
import os
from typing import Any

import click

# Imported when used: `resumable run` needs no Kubernetes client, `resumable controller` no table on a screen.
COMMANDS = (
    "controller",
    "cursor",
    "describe",
    "exec",
    "fork",
    "let-go",
    "list",
    "progress",
    "restart",
    "run",
    "save",
    "service",
    "signal",
    "sleep",
    "step",
    "version",
    "wait",
)
MODULES = {"let-go": "let_go", "list": "listing", "signal": "send_signal"}


class Refusal(click.ClickException):
    """What was asked for can't be done as it was asked: one sentence, exit code 2."""

    exit_code = 2


class LazyGroup(click.Group):
    """Finds a subcommand in the module of its name, and turns what goes wrong into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, for the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of this name, None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"resumable.cli.{MODULES.get(cmd_name, cmd_name)}").command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand. A user sees no traceback, unless RESUMABLE_DEBUG asks for it."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if os.environ.get("RESUMABLE_DEBUG"):
                raise
            raise click.ClickException(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    from resumable.state.outcome import StoreError

    if isinstance(error, StoreError):
        return str(error)
    return f"{type(error).__name__}: {error} (this should not happen; RESUMABLE_DEBUG=1 shows where it did)"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Long Python jobs that survive the death of any process."""


if __name__ == "__main__":
    main()
