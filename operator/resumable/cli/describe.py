"""`resumable describe`."""

import click

from resumable.cli.main import Refusal
from resumable.cli.store_options import opened, store_options
from resumable.state.record import Encoded, Run
from resumable.state.store import Store

LONGEST_VALUE = 500


@click.command("describe")
@click.argument("name")
@click.option("-n", "--namespace", default="default", show_default=True)
@store_options
def command(name: str, namespace: str, store_url: str | None, token_file: str | None) -> None:
    """Show a run: where it is, its steps, and why each attempt ended. NAME is the job's name or the run's id."""
    from rich.console import Console
    from rich.text import Text

    from resumable.cli.tables import moment, status_text, summary_text
    from resumable.lifecycle.summary import summary_of

    with opened(store_url, token_file) as store:
        run = _find(store, name, namespace)
        view = store.view(run.id)
    if view is None:
        raise Refusal(f"run {run.id} was deleted just now")
    console = Console()
    for label, value in (
        ("Name", f"{run.namespace}/{run.name}"),
        ("Run", run.id),
        ("Status", status_text(run.status)),
        ("Reason", ": ".join(filter(None, (run.reason, run.message)))),
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


def _find(store: Store, name: str, namespace: str) -> Run:
    run = store.get_run(name) or store.get_run(f"{namespace}/{name}")
    if run is not None:
        return run
    runs = store.list_runs(namespace)
    found = [each for each in runs if each.name == name]  # the newest first
    if not found:
        names = ", ".join(sorted({each.name for each in runs})) or "none"
        raise Refusal(f"there is no run {name!r} in namespace {namespace!r}; the runs there: {names}")
    return found[0]


def _shown(value: Encoded | None) -> str:
    if value is None:
        return ""
    text = (
        value.data.decode(errors="replace") if value.codec == "json" else f"{len(value.data):,} bytes of {value.codec}"
    )
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text):,} characters)"
