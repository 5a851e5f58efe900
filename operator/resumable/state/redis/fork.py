"""A new run that begins with another's history: what its steps finished, up to one of them.

The two runs may be on different servers of a Cluster: the history is read in one moment, and written in one.
"""

from resumable.state.limits import check_size
from resumable.state.outcome import StoreRefused
from resumable.state.record import COMPENSATE, ON_FAILURE, Run, StepRef
from resumable.state.redis import register, rows, views
from resumable.state.redis.connection import Server
from resumable.state.redis.keys import run_key
from resumable.state.redis.request import MOST_NAMED, NAME_LENGTH, RUN_ID_LENGTH, no_such_step, reference
from resumable.state.sql.text import identifier
from resumable.state.store import NewRun


def fork_run(server: Server, source_id: str, new: NewRun, up_to: StepRef | None) -> Run | None:
    """Make the new run, or find the one that is there with its id; None: there is no such source."""
    check_size(new.input, "run's input")
    if new.id == source_id:
        raise StoreRefused(f"run {source_id!r} can't be forked into itself: give the new run an id of its own")
    if (there := views.get_run(server, new.id)) is not None:
        return there
    asked = rows.request(up_to=reference(up_to), compensate=COMPENSATE, on_failure=ON_FAILURE, most_named=MOST_NAMED)
    reply = server.read("read_history", run_key(source_id), asked)
    match reply:
        case [b"NoSuchRun"]:
            return None
        case [b"NoStep", steps]:
            raise no_such_step(source_id, up_to, steps)
    _, source, history = reply
    record = rows.to_run(rows.pairs(source))
    assert record is not None  # the script read it
    request = rows.request(
        id=identifier(new.id, "the run's id", RUN_ID_LENGTH),
        namespace=identifier(new.namespace, "the run's namespace", NAME_LENGTH),
        name=identifier(new.name, "the run's name", NAME_LENGTH),
        source=source_id,
        record_version=record.record_version,
    )
    values = [rows.value(new.input or record.input, "run's input"), rows.value(record.payload, "payload")]
    with register.listed(server, new.id, new.namespace):
        made = server.run("fork_run", (run_key(new.id),), request, *values, *history)
    return rows.to_run(rows.pairs(made))
