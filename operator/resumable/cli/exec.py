"""`resumable exec`: a shell script, or any program, as a job."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from resumable.cli.main import Refusal

_INTERPRETERS = ("sh", "bash", "dash", "zsh", "ksh", "ash", "env", "python", "python3", "node", "perl", "ruby")


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.option("--name", help="The job's name [default: the script's].")
@click.option("--id", "run_id", help="By hand: which run to start or to continue [default: the job's name].")
@click.option("--input", "input_", metavar="JSON", help="By hand: the job's input, an object; in $RESUMABLE_INPUT.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="By hand: one field of the input.")
@click.option("--store", metavar="FILE|URL", help="By hand: where state is kept [default: .resumable/state.db].")
@click.option("--unpause", is_flag=True, help="By hand: go on with a run that is paused until a person has looked.")
@click.option("--version", "code_version", default="", help="The script's version: kept with the run, and shown.")
@click.argument("command_line", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENTS]...")
def command(
    name: str | None,
    run_id: str | None,
    input_: str | None,
    settings: tuple[str, ...],
    store: str | None,
    unpause: bool,
    code_version: str,
    command_line: tuple[str, ...],
) -> None:
    """Run a shell script, or any program, as a job that survives the death of its process.

    In it `resumable step NAME -- COMMAND` runs a command once; `resumable cursor`, `save`, `progress`, `wait` and
    `sleep` do what their help says. Exit code: 0 done, 1 failed, 75 interrupted, 76 waiting, 77 another attempt owns
    the run, 78 failed for good.
    """
    from resumable.cli.in_script import parse
    from resumable.sdk.shell import client
    from resumable.sdk.shell.script_job import script_job

    if os.environ.get(client.SOCKET):
        raise Refusal("`resumable exec` is called inside another one: call the script itself, its steps are the run's")
    by_hand = [
        *(["--id", run_id] if run_id is not None else []),
        *(["--input", input_] if input_ is not None else []),
        *(word for setting in settings for word in ("--set", setting)),
        *(["--store", store] if store is not None else []),
        *(["--unpause"] if unpause else []),
    ]
    script_job(name or _name(command_line), code_version, command_line, parse).main(by_hand)


def _name(command_line: Sequence[str]) -> str:
    """Of the script, not of what interprets it: two scripts must not pass for one run."""
    program, *arguments = command_line
    if Path(program).name in _INTERPRETERS:
        program = next((word for word in arguments if Path(word).is_file()), "")
    if not Path(program).stem:
        raise Refusal("the command has no script to take a name from; give one: resumable exec --name NAME -- …")
    return Path(program).stem
