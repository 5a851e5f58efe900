"""The run that an argument names, and the steps of it that an option names."""

from resumable.cli.main import Refusal
from resumable.state.record import Run, StepRef
from resumable.state.store import Store


def find_run(store: Store, name: str, namespace: str) -> Run:
    """The run with this id, else the newest of the job with this name."""
    run = store.get_run(name) or store.get_run(f"{namespace}/{name}")
    if run is not None:
        return run
    found = [each for each in store.list_runs(namespace) if each.name == name]  # the newest first
    if not found:
        known = ", ".join(sorted({f"{each.namespace}/{each.name}" for each in store.list_runs()})) or "none"
        raise Refusal(f"there is no run {name!r} in namespace {namespace!r}; the runs in this store: {known}")
    return found[0]


def step_ref(text: str) -> StepRef:
    """`NAME` (all its keys) or `NAME=KEY`."""
    name, equals, key = text.partition("=")
    if not name:
        raise Refusal(f"{text!r} names no step; write NAME, or NAME=KEY")
    return StepRef(name, key if equals else None)
