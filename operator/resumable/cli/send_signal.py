"""`resumable signal`."""

import json
import secrets

import click

from resumable.cli.main import Refusal
from resumable.cli.store_options import opened, store_options


@click.command("signal")
@click.argument("run")
@click.argument("name")
@click.option("--payload", metavar="JSON", help="What the wait gives to the job: any JSON value.")
@click.option("--id", "signal_id", help="Sent twice with the same id it counts once.  [default: a new one]")
@click.option("-n", "--namespace", default="default", show_default=True)
@store_options
def command(
    run: str,
    name: str,
    payload: str | None,
    signal_id: str | None,
    namespace: str,
    store_url: str | None,
    token_file: str | None,
) -> None:
    """Send the signal NAME to RUN, for the wait of that name. RUN is the job's name or the run's id.

    It may come before the wait, and is kept until one takes it.
    """
    from resumable.cli.find_run import find_run
    from resumable.sdk.sender import this_user
    from resumable.state.outcome import AlreadySent, NoSuchRun, RunEnded, Sent
    from resumable.state.record import Encoded, RunStatus
    from resumable.state.store import NewSignal

    if payload is not None:
        try:
            json.loads(payload)
        except ValueError as error:
            raise Refusal(f"--payload {payload!r} is not JSON ({error}); a text needs quotes: '\"yes\"'") from None
    encoded = Encoded("json", payload.encode()) if payload is not None else None
    new = NewSignal(id=signal_id or secrets.token_hex(16), name=name, payload=encoded, sender=this_user())
    with opened(store_url, token_file) as store:
        found = find_run(store, run, namespace)
        match store.send_signal(found.id, new):
            case Sent():
                waits = found.status is RunStatus.WAITING and name in found.wake_on
                then = "it waits for that, and goes on" if waits else "kept until a wait takes it"
                click.echo(f"sent {name} to {found.name} (id {new.id}): {then}")
            case AlreadySent():
                click.echo(f"{found.name} has the signal with the id {new.id} already; nothing was sent")
            case RunEnded(status=status):
                raise click.ClickException(f"{found.name} is over ({status}): no wait will take a signal")
            case NoSuchRun():
                raise Refusal(f"run {found.id} was deleted just now")
