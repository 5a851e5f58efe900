"""`python my_job.py`: a run on a local store, by hand. Started again it goes on where it was."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from resumable.sdk import codec, environment
from resumable.sdk.attempt import Attempt
from resumable.sdk.errors import InvalidInput, JobDefinitionError
from resumable.sdk.execution import execute
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.heartbeat import Heartbeat
from resumable.sdk.interruption import Interruption
from resumable.sdk.job import JobDefinition
from resumable.sdk.local_run import DEFAULT_FILE, Place, claim, count, waits_for
from resumable.state.record import Encoded, Run, RunStatus

log = logging.getLogger("resumable")


def run_by_hand(
    definition: JobDefinition[..., Any], arguments: Sequence[str] | None, interruption: Interruption
) -> int:
    """Run, or continue, the run that `--id` names. Prints the job's result as JSON."""
    options = _parser(definition).parse_args(arguments)
    try:
        value = _input(definition, options)
    except (InvalidInput, JobDefinitionError) as error:
        log.error("%s", error)
        return ExitCode.FAILED_FOR_GOOD
    if options.id is None:
        log.info("run %s (the job's name; --id names another)", definition.name)
    run_id = options.id or definition.name
    place = Place.open(options.store)
    with closing(place.store), place.lock(run_id):
        claimed = claim(place.store, run_id, definition.name, value, unpause=options.unpause)
        if isinstance(claimed, Run):
            return _tell_finished(claimed)
        timeout = environment.store_timeout(os.environ)
        attempt = Attempt.begin(
            place.store, claimed, interruption, store_timeout=timeout, code_version=definition.version
        )
        with Heartbeat(attempt, limit=timeout):
            ending = execute(definition, attempt, place.checkpoints())
        count(place.store, claimed, ending)
        waiting = place.store.get_run(run_id) if ending.exit_code is ExitCode.WAITING else None
    if ending.exit_code is ExitCode.DONE:
        _print(ending.result)
    elif ending.exit_code in (ExitCode.FAILED, ExitCode.INTERRUPTED):
        log.info("start it again to go on: what is stored is not done again")
    elif ending.exit_code is ExitCode.WAITING:
        _tell_waiting(waiting)
    return ending.process_code


def _parser(definition: JobDefinition[..., Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=definition.__doc__ or f"Job {definition.name}.",
        epilog="A run that was killed goes on when it is started again with the same id.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--id", metavar="ID", help=f"which run to start or to continue (default: {definition.name})")
    parser.add_argument("--input", metavar="JSON", help="the job's arguments, a JSON object")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="one argument of the job; may be repeated"
    )
    parser.add_argument("--store", metavar="FILE|URL", help=f"where state is kept (default: {DEFAULT_FILE})")
    parser.add_argument(
        "--unpause", action="store_true", help="go on with a run that is paused until a person has looked"
    )
    return parser


def _input(definition: JobDefinition[..., Any], options: argparse.Namespace) -> Encoded | None:
    """None when none was given: a run that exists keeps its own."""
    settings = {}
    for setting in options.set:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InvalidInput(f"--set {setting}: write NAME=VALUE")
        settings[name] = value
    if options.input is None and not settings:
        return None
    return definition.inputs.parse(options.input or "{}", settings)


def _tell_finished(run: Run) -> ExitCode:
    if run.status is RunStatus.SUCCEEDED:
        log.info("run %s is done already; this is its stored result (--id names another run)", run.id)
        _print(run.result)
        return ExitCode.DONE
    log.error(
        "run %s is %s already (%s): %s; --id names another run",
        run.id,
        run.status,
        run.reason,
        run.message or run.error,
    )
    return ExitCode.FAILED_FOR_GOOD


def _tell_waiting(run: Run | None) -> None:
    if run is None:
        return
    if run.status is RunStatus.WAITING:
        log.info("%s", waits_for(run))
    elif run.status is RunStatus.PAUSED:
        log.info("start it again with --unpause to go on")
    else:
        log.info("what it waited for has come: start it again to go on")


def _print(result: Encoded | None) -> None:
    text = "null" if result is None else codec.shown(result)
    if text != "null":
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
