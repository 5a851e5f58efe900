"""`resumable let-go`: before the operator is uninstalled."""

import click

from resumable.cli.main import Refusal


@click.command("let-go")
@click.option("--namespace", "namespaces", multiple=True, help="Where; may be repeated.  [default: all]")
@click.option("--lease-namespace", default="", help="Where the controllers keep their Lease: they stop for a minute.")
@click.option("--lease-name", default="resumable-controller", show_default=True)
def command(namespaces: tuple[str, ...], lease_namespace: str, lease_name: str) -> None:
    """Take the operator's finalizers off all ResumableJobs and pods, so that they can be deleted without it.

    Jobs, pods and records stay; a controller that is installed again goes on with them.
    """
    from resumable.controller.kubernetes_api import ApiError, ApiUnavailable
    from resumable.controller.let_go import StillHeld
    from resumable.controller.run import ControllerRefused, run_let_go
    from resumable.controller.settings import ControllerSettings

    settings = ControllerSettings(
        store_url="", namespaces=namespaces, lease_namespace=lease_namespace, lease_name=lease_name
    )
    try:
        done = run_let_go(settings)
    except ControllerRefused as error:
        raise Refusal(str(error)) from None
    except (StillHeld, ApiError, ApiUnavailable) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"let go: {done.jobs} jobs, {done.pods} pods")
