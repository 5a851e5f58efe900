"""`resumable controller`: the operator on a cluster."""

from pathlib import Path

import click

from resumable.cli.main import Refusal


@click.command("controller")
@click.option("--store-url", required=True, envvar="RESUMABLE_STORE_URL", help="The state service: http://…")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="RESUMABLE_TOKEN_FILE",
    help="A file with the token that proves this controller to the state service.",
)
@click.option("--worker-store-url", default="", help="What workers are given.  [default: the value of --store-url]")
@click.option("--namespace", "namespaces", multiple=True, help="Which to watch; may be repeated.  [default: all]")
@click.option("--lease-namespace", default="", help="Where the leader's Lease is kept.  [default: no leader election]")
@click.option("--lease-name", default="resumable-controller", show_default=True)
@click.option("--health-port", default=8081, show_default=True, type=click.IntRange(0, 65535), help="0: not served.")
@click.option("--workers", default=16, show_default=True, type=click.IntRange(min=1), help="Jobs worked on at a time.")
def command(
    store_url: str,
    token_file: Path | None,
    worker_store_url: str,
    namespaces: tuple[str, ...],
    lease_namespace: str,
    lease_name: str,
    health_port: int,
    workers: int,
) -> None:
    """Watch ResumableJobs and their pods, and start what has to be started."""
    from resumable.controller.leadership import LeadershipLost
    from resumable.controller.run import ControllerRefused, run_controller
    from resumable.controller.settings import ControllerSettings

    settings = ControllerSettings(
        store_url=store_url,
        token_file=token_file,
        worker_store_url=worker_store_url,
        namespaces=namespaces,
        lease_namespace=lease_namespace,
        lease_name=lease_name,
        health_port=health_port or None,
        workers=workers,
    )
    try:
        run_controller(settings)
    except ControllerRefused as error:
        raise Refusal(str(error)) from None
    except LeadershipLost as error:
        raise click.ClickException(str(error)) from None
