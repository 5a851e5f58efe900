"""`resumable describe`."""

import click

from resumable.cli.main import Refusal
from resumable.cli.store_options import opened, store_options
from resumable.sdk import codec
from resumable.state.record import Encoded, RunStatus

LONGEST_VALUE = 500
MOST_SIGNALS = 20  # the newest


@click.command("describe")
@click.argument("name")
@click.option("-n", "--namespace", default="default", show_default=True)
@store_options
def command(name: str, namespace: str, store_url: str | None, token_file: str | None) -> None:
    """Show a run: where it is, its steps, why each attempt ended, its signals.

    NAME is the job's name or the run's id.
    """
    from rich.console import Console
    from rich.text import Text

    from resumable.cli.find_run import find_run
    from resumable.cli.tables import moment, signals_text, status_text, summary_text
    from resumable.lifecycle.summary import summary_of
    from resumable.lifecycle.waiting import message_of

    with opened(store_url, token_file) as store:
        run = find_run(store, name, namespace)
        view = store.view(run.id)
        signals = store.list_signals(run.id)
    if view is None:
        raise Refusal(f"run {run.id} was deleted just now")
    waits = run.status is RunStatus.WAITING
    console = Console()
    for label, value in (
        ("Name", f"{run.namespace}/{run.name}"),
        ("Run", run.id),
        ("Status", status_text(run.status)),
        ("Reason", ": ".join(filter(None, (run.reason, message_of(run) if waits else run.message)))),
        ("Attempt", str(run.attempt)),
        ("Created", moment(run.created)),
        ("Last saved", moment(view.last_saved)),
        ("Finished", moment(run.finished)),
        ("Input", _shown(run.input)),
        ("Result", _shown(run.result)),
        ("Error", run.error),
    ):
        if value and value != "-":
            console.print(Text(f"{label + ':':<12}"), value, highlight=False, soft_wrap=True)
    console.print()
    console.print(summary_text(summary_of(view)), soft_wrap=True)
    if signals:
        console.print()
        console.print(signals_text(signals[-MOST_SIGNALS:]), soft_wrap=True)


def _shown(value: Encoded | None) -> str:
    if value is None:
        return ""
    text = codec.shown(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text):,} characters)"
