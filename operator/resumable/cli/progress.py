"""`resumable progress`: what is shown of a running step."""

import click

from resumable.cli.in_script import asked
from resumable.sdk.shell.requests import Request, ShowProgress


@click.command("progress")
@click.argument("current", type=float)
@click.argument("total", type=float, required=False)
@click.argument("message", default="")
@click.pass_context
def command(context: click.Context, current: float, total: float | None, message: str) -> Request:
    """In a step's command: show how far it is. Cheap: stored with the next heartbeat or save."""
    return asked(context, ShowProgress(current, total, message))
