"""The keys of a store.

All keys of a run share the hash tag `{run:<id>}`, so that on a Cluster they are in one slot and one script may touch
them; they are named in `scripts/prelude.lua`. The list of runs is in another slot.
"""

STORE = "resumable:{store}"
ALL_RUNS = "resumable:{runs}"
WOKEN_RUNS = "resumable:{runs}/woken"


def run_key(run_id: str) -> str:
    """A run's own hash. The names of its other keys begin with this one."""
    return f"resumable:{{run:{run_id}}}"


def namespace_key(namespace: str) -> str:
    """The list of the runs of a namespace, in the slot of the list of all."""
    return f"{ALL_RUNS}:{namespace}"
