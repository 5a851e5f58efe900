"""`resumable save`: how far a step's command has got."""

import click

from resumable.cli.in_script import asked
from resumable.sdk.shell.requests import Request, SaveCursor


@click.command("save", context_settings={"ignore_unknown_options": True})
@click.argument("cursor")
@click.pass_context
def command(context: click.Context, cursor: str) -> Request:
    """In a step's command: save CURSOR, durably; then stop here if the script has to (exit code 75)."""
    return asked(context, SaveCursor(cursor))
