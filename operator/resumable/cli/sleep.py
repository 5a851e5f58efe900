"""`resumable sleep`: without keeping a process for it."""

from datetime import timedelta

import click

from resumable.cli.in_script import Duration, asked, hold_option, key_option
from resumable.sdk.shell.requests import Request, Sleep


@click.command("sleep")
@click.argument("name")
@click.argument("length", type=Duration(), metavar="DURATION")
@key_option
@hold_option
@click.pass_context
def command(context: click.Context, name: str, length: timedelta, key: str, hold: str) -> Request:
    """In a script: go on DURATION (such as 1h30m) after NAME was first met.

    A long sleep ends the script with exit code 76 (set -e); the next attempt is started in time.
    """
    return asked(context, Sleep(name, length, key, hold))
