"""`resumable restart`."""

import secrets

import click

from resumable.cli.store_options import opened, store_options


@click.command("restart")
@click.argument("run")
@click.option("--from-step", metavar="NAME[=KEY]", help="Forget this step and all that came after it.")
@click.option("--forget", multiple=True, metavar="NAME[=KEY]", help="Forget this step too; may be repeated.")
@click.option("--request-id", help="Carried out twice with the same id it counts once.  [default: a new one]")
@click.option("-n", "--namespace", default="default", show_default=True)
@store_options
def command(
    run: str,
    from_step: str | None,
    forget: tuple[str, ...],
    request_id: str | None,
    namespace: str,
    store_url: str | None,
    token_file: str | None,
) -> None:
    """Run RUN again in place: from a step, or with all that is stored. RUN is the job's name or the run's id.

    From any state in which no worker runs. The record alone is changed: whoever looks after the run (the operator,
    `resumable run`) starts the next attempt. With a worker that runs, use spec.restart, which asks it to leave first.
    """
    from resumable.cli.find_run import find_run, step_ref
    from resumable.state.outcome import Stale
    from resumable.state.store import Expected, RestartRequest

    request = RestartRequest(
        request_id=request_id or secrets.token_hex(8),
        from_step=step_ref(from_step) if from_step else None,
        forget=tuple(map(step_ref, forget)),
    )
    with opened(store_url, token_file) as store:
        found = find_run(store, run, namespace)
        outcome = store.restart(found.id, Expected.of(found), request)
        if isinstance(outcome, Stale):
            raise click.ClickException(
                f"{found.name} is {found.status}: its attempt {found.attempt} has not ended, or somebody changed the "
                "run at the same moment. Stop it first (`resumable run`: Ctrl-C; on a cluster: spec.restart does both)"
            )
    if outcome.run.generation == found.generation:
        click.echo(f"{found.name}: the request {request.request_id} was carried out before; nothing was changed")
    else:
        click.echo(f"{found.name} starts again (request {request.request_id})")
