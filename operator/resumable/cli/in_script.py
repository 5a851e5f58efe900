"""The subcommands that a script calls inside of `resumable exec`: understood there, forwarded here."""

import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from resumable.sdk.shell import client
from resumable.sdk.shell.requests import Request

_ANSWERING = object()  # the context's object where a request is wanted, in the process that holds the attempt


def asked(context: click.Context, request: Request) -> Request:
    """The request, where that is wanted; anywhere else it is handed to the process that started the script."""
    if context.obj is _ANSWERING:
        return request
    raise SystemExit(client.call(sys.argv[1:]))


def parse(arguments: Sequence[str]) -> Request:
    """What a script's call asks for. Raises `UsageError`."""
    from resumable.cli.main import main
    from resumable.sdk.errors import InvalidStep
    from resumable.sdk.shell.conversation import UsageError

    name = arguments[0] if arguments else ""
    if name not in client.IN_SCRIPT:
        raise UsageError(f"{name!r} is no call of a script; there are: {', '.join(client.IN_SCRIPT)}")
    command = main.get_command(click.Context(main), name)
    assert command is not None
    try:
        request: Request = command.main(
            list(arguments[1:]), prog_name=f"resumable {name}", standalone_mode=False, obj=_ANSWERING
        )
    except click.UsageError as error:
        usage = error.ctx.get_usage() if error.ctx else ""
        raise UsageError(f"{name}: {error.format_message()} {usage}".rstrip()) from None
    except InvalidStep as error:
        raise UsageError(f"{shlex.join(arguments[:2])}: {error}") from None
    return request


if TYPE_CHECKING:
    DurationType = click.ParamType[timedelta]
else:
    DurationType = click.ParamType  # click < 8.3 has no type arguments


class Duration(DurationType):
    """Such as 30s or 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """A `timedelta`, from text with units."""
        from resumable.sdk.durations import duration

        try:
            return duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


key_option: Callable[[Any], Any] = click.option(
    "--key", default="", help="Tells the passes of a loop apart: an id, the same in each attempt."
)
hold_option: Callable[[Any], Any] = click.option(
    "--hold", default="10s", show_default=True, help="Up to so long it waits in the process; then the run has none."
)
