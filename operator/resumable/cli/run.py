"""`resumable run`: a ResumableJob on this machine, without a cluster."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from resumable.cli.main import Refusal

if TYPE_CHECKING:
    from resumable.cli.screen import LogTail, Screen
    from resumable.local.backend import LocalBackend, Round

POLL = timedelta(seconds=0.1)

# Beside 0 (succeeded) and 2 (usage).
EXIT_FAILED = 1
EXIT_SAVED = 75  # stopped on request, or waiting for somebody: run it again to go on


@click.command("run")
@click.argument("manifest", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Change the spec: --set input.epochs=3")
@click.option("-n", "--namespace", help="In place of the manifest's.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".resumable"),
    show_default=True,
    help="Where the record, the volumes and the logs are kept.",
)
@click.option("--fresh", is_flag=True, help="Forget the earlier run of this job, and start from the beginning.")
def command(manifest: Path, overrides: tuple[str, ...], namespace: str | None, state_dir: Path, fresh: bool) -> None:
    """Run the ResumableJob in MANIFEST as a process on this machine.

    When the process dies another continues from what was saved. Ctrl-C saves and leaves; the same command goes on. Exit
    code: 0 succeeded, 1 failed, 75 saved and not finished.
    """
    from rich.console import Console

    from resumable.cli.screen import screen
    from resumable.local.backend import LocalBackend
    from resumable.local.manifest import ManifestError, load_manifest
    from resumable.local.state_directory import JobIsBusy, StateDirectory
    from resumable.state.open import open_store

    try:
        loaded = load_manifest(manifest, overrides, namespace)
        directory = StateDirectory(state_dir)
        with directory.lock(loaded.job):
            store = open_store(directory.store_url)
            try:
                backend = LocalBackend(loaded, directory, store)
                if fresh:
                    backend.forget()
                end = _watch(backend, screen(Console()))
            finally:
                store.close()
    except (ManifestError, JobIsBusy) as error:
        raise Refusal(str(error)) from None
    raise click.exceptions.Exit(_tell(end))


def _watch(backend: "LocalBackend", display: "Screen") -> "Round | None":
    """Look after the job until it is over or rests; None: left at once, because somebody asked twice."""
    from resumable.cli.screen import notice_text

    logs: dict[str, LogTail] = {}
    with _stop_requests() as requests:
        try:
            while True:
                if len(requests) > 1:
                    return None
                if requests and not backend.job.spec.suspend:
                    backend.suspend()
                    display.say("Asked to stop: the worker saves and leaves (once more: leave without waiting for it).")
                current = backend.round()
                _print_logs(backend, current, logs, display)
                for notice in current.decision.notices:
                    display.say(notice_text(notice))
                display.show(current)
                if current.at_rest:
                    return current
                if not current.decision.actions:
                    threading.Event().wait(POLL.total_seconds())
        finally:
            display.close()


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """The signals that asked this process to stop, so far."""
    requests: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        requests.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_logs(backend: "LocalBackend", current: "Round", logs: "dict[str, LogTail]", display: "Screen") -> None:
    from rich.text import Text

    from resumable.cli.screen import LogTail

    for pod in current.pods:
        tail = logs.get(pod.name) or logs.setdefault(pod.name, LogTail(backend.processes.log(pod.name)))
        for line in tail.lines(all_of_it=pod.terminal):
            display.say(Text.assemble((f"{pod.name} │ ", "dim"), line))


def _tell(current: "Round | None") -> int:
    """Say how it ended and what can be done; the exit code."""
    from resumable.state.record import RunStatus

    if current is None:
        click.echo("Left. The worker goes on by itself; the same command looks after it again.")
        return EXIT_SAVED
    assert current.view is not None  # at rest means that there is a record
    run = current.view.run
    match run.status:
        case RunStatus.SUCCEEDED:
            result = run.result.data.decode(errors="replace") if run.result and run.result.codec == "json" else ""
            click.echo(f"{run.name} succeeded" + (f": {result}" if result else "."))
            return 0
        case RunStatus.FAILED | RunStatus.CANCELLED:
            said = ": ".join(filter(None, (run.reason, run.message or run.error)))
            click.echo(f"{run.name} {run.status.lower()}: {said or 'no reason was given'}", err=True)
            click.echo("`--fresh` forgets what was done and starts from the beginning.", err=True)
            return EXIT_FAILED
        case RunStatus.SUSPENDED:
            click.echo(f"{run.name} is saved and stopped. The same command goes on from there.")
        case _:
            said = ": ".join(filter(None, (run.reason, run.message)))
            click.echo(f"{run.name} is {run.status.lower()}: {said}", err=True)
    return EXIT_SAVED
