"""`resumable service`: the state service."""

from datetime import timedelta
from typing import Literal

import click

from resumable.cli.main import Refusal


@click.command("service")
@click.option(
    "--store-url",
    required=True,
    envvar="RESUMABLE_STORE_URL",
    help="sqlite:////absolute/path, postgresql://… or redis://…",
)
@click.option("--host", default="0.0.0.0", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--auth",
    type=click.Choice(["kubernetes", "none"]),
    default="kubernetes",
    show_default=True,
    help="kubernetes: projected tokens, TokenReview. none: everybody may do everything; only on loopback.",
)
@click.option(
    "--controller-service-account", default="", metavar="NAMESPACE/NAME", help="Who may do more than a worker."
)
@click.option("--kubeconfig", default="", help="For a service outside the cluster.")
@click.option("--max-request-bytes", default=16 * 1024 * 1024, show_default=True, type=click.IntRange(min=1024))
@click.option(
    "--shutdown-grace", "grace_seconds", default=20.0, show_default=True, help="Seconds for requests in flight."
)
def command(
    store_url: str,
    host: str,
    port: int,
    auth: Literal["kubernetes", "none"],
    controller_service_account: str,
    kubeconfig: str,
    max_request_bytes: int,
    grace_seconds: float,
) -> None:
    """Serve a store over HTTP, with OpenAPI at /openapi/openapi.json."""
    from resumable.service.server import ServiceSettings, StartRefused, serve

    settings = ServiceSettings(
        store_url=store_url,
        host=host,
        port=port,
        auth=auth,
        controller_service_account=controller_service_account,
        kubeconfig=kubeconfig,
        max_request_bytes=max_request_bytes,
        shutdown_grace=timedelta(seconds=grace_seconds),
    )
    try:
        serve(settings)
    except StartRefused as error:
        raise Refusal(str(error)) from None
