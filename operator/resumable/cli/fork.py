"""`resumable fork`."""

import json

import click

from resumable.cli.main import Refusal
from resumable.cli.store_options import opened, store_options


@click.command("fork")
@click.argument("run")
@click.argument("new_id")
@click.option("--up-to", metavar="NAME[=KEY]", help="The last step to take over.  [default: all that are done]")
@click.option("--input", "new_input", metavar="JSON", help="In place of the run's input: a JSON object.")
@click.option("-n", "--namespace", default="default", show_default=True)
@store_options
def command(
    run: str,
    new_id: str,
    up_to: str | None,
    new_input: str | None,
    namespace: str,
    store_url: str | None,
    token_file: str | None,
) -> None:
    """Make the run NEW_ID, which begins with the done steps of RUN. RUN is the job's name or the run's id.

    For `resumable run job.yaml` NEW_ID is <namespace>/<name>, for a program on its own what `--id` names.
    """
    from resumable.cli.find_run import find_run, step_ref
    from resumable.state.record import Encoded
    from resumable.state.store import NewRun

    with opened(store_url, token_file) as store:
        source = find_run(store, run, namespace)
        if store.get_run(new_id) is not None:
            raise Refusal(f"there is a run {new_id!r} already; name another")
        name = new_id.rpartition("/")[2] if new_id.startswith(f"{source.namespace}/") else source.name
        value = Encoded("json", _object(new_input).encode()) if new_input is not None else None
        new = NewRun(id=new_id, namespace=source.namespace, name=name, input=value)
        forked = store.fork_run(source.id, new, step_ref(up_to) if up_to else None)
        if forked is None:
            raise Refusal(f"run {source.id} was deleted just now")
        view = store.view(forked.id, steps=0)
    done = view.steps_done if view else 0
    click.echo(f"run {forked.id} begins with {done} done {'step' if done == 1 else 'steps'} of {source.id}")


def _object(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Refusal(f"--input {text!r} is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise Refusal(f"--input {text!r} is not a JSON object: its names are the job's parameters")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
