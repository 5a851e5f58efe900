"""`resumable step`: a command whose result is remembered."""

from datetime import timedelta

import click

from resumable.cli.in_script import Duration, asked, key_option
from resumable.sdk.shell.requests import Request


@click.command("step", context_settings={"allow_interspersed_args": True})
@click.argument("name")
@key_option
@click.option("--retry", type=click.IntRange(1), metavar="N", help="Try it N times in all before it fails for good.")
@click.option("--retry-after", type=Duration(), default="1s", show_default=True, help="Between the first two tries.")
@click.option("--timeout", type=Duration(), help="How long one try may take; then it is killed and has failed.")
@click.option("--at-most-once", is_flag=True, help="Pause the run rather than run it again when its end is unknown.")
@click.argument("command_line", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENTS]...")
@click.pass_context
def command(
    context: click.Context,
    name: str,
    key: str,
    retry: int | None,
    retry_after: timedelta,
    timeout: timedelta | None,
    at_most_once: bool,
    command_line: tuple[str, ...],
) -> Request:
    """In a script: run a COMMAND, unless an earlier attempt did.

    What it prints is the step's result: it is stored, and printed again when the step is met in a later attempt. What
    is for the log goes to standard error. Exit code: the command's; 75 or 76 when the script has to stop (set -e); 78
    when the step failed for good.
    """
    from resumable.sdk.retry import Retry
    from resumable.sdk.shell.requests import RunStep
    from resumable.sdk.step_options import StepOptions, key_text
    from resumable.sdk.step_timeout import check_timeout

    options = StepOptions(
        key=key_text(key or None),
        retry=Retry(max_attempts=retry, initial=retry_after) if retry else None,
        timeout=check_timeout(timeout),
        effect="at-most-once" if at_most_once else "at-least-once",
    )
    return asked(context, RunStep(name, command_line, options))
