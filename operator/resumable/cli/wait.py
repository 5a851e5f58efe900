"""`resumable wait`: for a signal, without keeping a process for it."""

from datetime import timedelta

import click

from resumable.cli.in_script import Duration, asked, hold_option, key_option
from resumable.sdk.shell.requests import AwaitSignal, Request


@click.command("wait")
@click.argument("name")
@key_option
@click.option("--timeout", type=Duration(), help="Give up so long after the first start (exit code 124).")
@hold_option
@click.pass_context
def command(context: click.Context, name: str, key: str, timeout: timedelta | None, hold: str) -> Request:
    """In a script: wait for the signal NAME and print its payload, text as it is, anything else as JSON.

    A long wait ends the script with exit code 76 (set -e); the signal starts the next attempt, which comes here again.
    """
    return asked(context, AwaitSignal(name, key, timeout, hold))
