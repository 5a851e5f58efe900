"""`resumable list`."""

import click

from resumable.cli.store_options import opened, store_options


@click.command("list")
@click.option("-n", "--namespace", help="Only the runs of this namespace.")
@store_options
def command(namespace: str | None, store_url: str | None, token_file: str | None) -> None:
    """List the runs, the newest first."""
    from rich.console import Console

    from resumable.cli.tables import runs_text

    with opened(store_url, token_file) as store:
        runs = store.list_runs(namespace)
    if runs:
        Console().print(runs_text(runs), soft_wrap=True)
    else:
        click.echo("There are no runs.")
