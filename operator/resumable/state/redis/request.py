"""What scripts are asked, checked: what Redis would take but Lua or another store would not is refused here."""

from typing import Any

from resumable.state import transitions
from resumable.state.limits import label
from resumable.state.outcome import StoreRefused
from resumable.state.record import Fence, RunStatus, StepRef, Write
from resumable.state.sql.text import free_text, identifier
from resumable.state.store import SavedCursor, StepActivity
from resumable.state.transitions import Transition

# As in `state.sql.tables`, so that a run can move from one store to another. Not imported: that would need SQLAlchemy.
RUN_ID_LENGTH = 128
STEP_NAME_LENGTH = 255
STEP_KEY_LENGTH = 255
ID_LENGTH = 64
NAME_LENGTH = 253
SIGNAL_ID_LENGTH = 384
WORD_LENGTH = 128

# Lua's numbers are doubles: beyond this they are not exact any more.
_LARGEST_NUMBER = 2**53 - 1

# As many as a message has room for.
MOST_NAMED = 20

# The statuses that `finished` goes with, and in which a run takes nothing more.
TERMINAL = {status.value: True for status in RunStatus if status.terminal}


def number(value: int, what: str) -> int:
    """`value`, if Lua can count with it. Raises `StoreRefused` that names `what` it is."""
    if abs(value) > _LARGEST_NUMBER:
        raise StoreRefused(f"{what} is {value}; at most {_LARGEST_NUMBER} is allowed")
    return value


def table(transition: Transition) -> dict[str, list[str]]:
    """The part of `transitions.TABLE` that a script has to know."""
    return {
        before.value: sorted(status.value for status in afters)
        for before, afters in transitions.TABLE[transition].items()
    }


def fenced(fence: Fence, write: Write | None) -> dict[str, Any]:
    """The fence, and what each write carries beside it."""
    fields: dict[str, Any] = {"attempt": fence.attempt, "nonce": fence.nonce}
    if write:
        fields["write_id"] = write.write_id
        fields["sequence"] = number(write.sequence, "the write's sequence")
        if write.after:
            after = write.after
            fields["after"] = {
                "kind": after.kind,
                "name": after.name,
                "key": after.key,
                "write_id": after.write_id,
                "sequence": number(after.sequence, "the sequence of the write before"),
            }
    return fields


def step_identity(name: str, key: str, ordinal: int) -> dict[str, Any]:
    """Which step."""
    return {
        "name": identifier(name, "the step's name", STEP_NAME_LENGTH),
        "key": identifier(key, f"the key of step {name!r}", STEP_KEY_LENGTH),
        "ordinal": number(ordinal, f"the ordinal of step {name!r}"),
    }


def reference(ref: StepRef | None) -> dict[str, str] | None:
    """Which steps are meant."""
    if ref is None:
        return None
    return {"name": ref.name} if ref.key is None else {"name": ref.name, "key": ref.key}


def no_such_step(run_id: str, ref: StepRef | None, there: list[list[bytes]]) -> StoreRefused:
    """The error for a step that a run does not have: it names those that it has."""
    assert ref is not None  # nothing is missed that was not asked for
    labels = [label(name.decode(), key.decode()) for name, key in there]
    more = ", …" if len(labels) > MOST_NAMED else ""
    has = f"it has {', '.join(labels[:MOST_NAMED])}{more}" if labels else "it has none yet"
    return StoreRefused(f"run {run_id!r} has no step {label(ref.name, ref.key or '')}; {has}")


def progress(shown: SavedCursor | StepActivity) -> dict[str, Any]:
    """What is shown of a step that runs."""
    fields = {
        "running_ms": number(shown.running_ms, "the running time"),
        "progress_current": shown.progress_current,
        "progress_total": shown.progress_total,
        "progress_message": free_text(shown.progress_message),
    }
    return {name: each for name, each in fields.items() if each is not None and each != ""}
