"""`resumable cursor`: how far a step's command got."""

import click

from resumable.cli.in_script import asked
from resumable.sdk.shell.requests import Request, TellCursor


@click.command("cursor")
@click.pass_context
def command(context: click.Context) -> Request:
    """In a step's command: print what was last saved of the step, nothing when nothing was."""
    return asked(context, TellCursor())
