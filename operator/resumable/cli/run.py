"""`resumable run`: a ResumableJob on this machine, without a cluster."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from resumable.cli.main import Refusal

if TYPE_CHECKING:
    from resumable.local.backend import Round

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
    from resumable.cli.watch import watch
    from resumable.local.backend import LocalBackend, WorkerLives
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
                end = watch(backend, screen(Console()))
            finally:
                store.close()
    except (ManifestError, JobIsBusy, WorkerLives) as error:
        raise Refusal(str(error)) from None
    raise click.exceptions.Exit(_tell(end))


def _tell(current: "Round | None") -> int:
    """Say how it ended and what can be done; the exit code."""
    from resumable.sdk import codec
    from resumable.state.record import RunStatus

    if current is None:
        click.echo("Left. The worker goes on by itself; the same command looks after it again.")
        return EXIT_SAVED
    if current.view is None:
        return _tell_without_record(current)
    run = current.view.run
    match run.status:
        case RunStatus.SUCCEEDED:
            result = codec.shown(run.result) if run.result else ""
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


def _tell_without_record(current: "Round") -> int:
    """For a run whose record is gone: it was lost, or removed when its time was over."""
    said = [each.message for each in current.decision.conditions if each.message]
    phase = current.status["phase"]
    if phase in ("Succeeded", "Failed", "Cancelled"):
        click.echo("\n".join([f"{phase} earlier; its record was removed when its time was over.", *said]), err=True)
        click.echo("`--fresh` starts from the beginning.", err=True)
        return 0 if phase == "Succeeded" else EXIT_FAILED
    click.echo("\n".join(said) or f"nothing is known of the run: {phase}", err=True)
    return EXIT_FAILED
