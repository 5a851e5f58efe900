"""What is stored, as the structs of `resumable.state.record`, and back.

A run is a hash of texts. All else is msgpack: the id of a write, a map without what has its default, and the author's
value.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import msgspec

from resumable.state.limits import check_size
from resumable.state.record import (
    Attempt,
    Cursor,
    Encoded,
    EndKind,
    Event,
    Run,
    RunStatus,
    Signal,
    Step,
    StepStatus,
    StepTry,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP_STATUS = {status.value: status for status in StepStatus}

# What a hash is in a script's reply: field, value, field, value, …
Flat: TypeAlias = list[bytes]

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_value_decoder = msgspec.msgpack.Decoder(Encoded | None)
_names_decoder = msgspec.msgpack.Decoder(tuple[str, ...])


class StoredAttempt(msgspec.Struct):
    """A value of `:attempts`."""

    number: int
    minted: int
    nonce: str = ""
    pod_name: str = ""
    pod_uid: str = ""
    node: str = ""
    process_id: str = ""
    begun: int | None = None
    ended: int | None = None
    end_kind: EndKind | None = None
    cause: str = ""
    message: str = ""
    exit_code: int | None = None
    generation: int = 1
    code_version: str = ""
    written_end: RunStatus | None = None
    steps_done: int | None = None  # None until the attempt is over: it is in `:progress` so long
    last_saved: int | None = None
    progressed: bool = False


class StoredStep(msgspec.Struct):
    """The record in a value of `:steps`."""

    name: str
    status: str
    attempt: int
    key: str = ""
    ordinal: int = 0
    sequence: int = -1  # of the last write that touched it; -1: only heartbeats did
    tries: int = 1
    interruptions: int = 0
    error: str = ""
    started: int | None = None
    finished: int | None = None
    progress_current: float | None = None
    progress_total: float | None = None
    progress_message: str = ""
    saved: int | None = None
    failures: int = 0
    final: bool = False
    retry_at: int | None = None
    effect: str = ""
    deadline: int | None = None
    expires: int | None = None
    until_done: bool = False


class StoredTry(msgspec.Struct):
    """A value of `:tries`. Its number is its place among the tries of its step."""

    name: str
    attempt: int
    outcome: str
    key: str = ""
    error: str = ""
    started: int | None = None
    finished: int | None = None


class StoredCursor(msgspec.Struct):
    """The record in a value of `:cursors`."""

    name: str
    sequence: int
    attempt: int
    saved: int
    key: str = ""
    checkpoint: str = ""


class StoredSignal(msgspec.Struct):
    """The record in a value of `:signals`. `number` is the run's `signal_seq` when it came."""

    id: str
    name: str
    number: int
    sent: int
    sender: str = ""
    consumed_by: str = ""


class StoredEvent(msgspec.Struct):
    """An entry of `:events`; its sequence is the entry's id."""

    type: str
    attempt: int
    at: int
    message: str = ""


_attempt_decoder = msgspec.msgpack.Decoder(StoredAttempt)
_steps_decoder = msgspec.msgpack.Decoder(list[tuple[str, StoredStep, Encoded | None]])
_try_decoder = msgspec.msgpack.Decoder(StoredTry)
_cursors_decoder = msgspec.msgpack.Decoder(list[tuple[str, StoredCursor, Encoded | None]])
_signals_decoder = msgspec.msgpack.Decoder(list[tuple[str, StoredSignal, Encoded | None]])
_event_decoder = msgspec.msgpack.Decoder(StoredEvent)


def value(encoded: Encoded | None, what: str, name: str = "", key: str = "") -> bytes:
    """A value of the author's, as a script takes it. Raises `StoreRefused` for one that is too large."""
    check_size(encoded, what, name, key)
    return _encoder.encode(encoded)


def request(**fields: Any) -> bytes:
    """What a script is asked. What is absent or empty is nil there."""
    return _encoder.encode({name: each for name, each in fields.items() if each is not None and each != ""})


def milliseconds(moment: datetime | None) -> int | None:
    """A time as it is stored."""
    return None if moment is None else round((moment - _EPOCH) / timedelta(milliseconds=1))


def moment(milliseconds: int) -> datetime:
    """A stored time. Exact: until the year 2100 a double's error is below half a microsecond."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def maybe_moment(milliseconds: int | None) -> datetime | None:
    """A stored time that may not have come yet."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def pairs(flat: Flat) -> dict[str, bytes]:
    """A hash of a script's reply."""
    return {name.decode(): each for name, each in zip(flat[::2], flat[1::2], strict=True)}


def to_run(stored: Mapping[str, bytes]) -> Run | None:
    """A run's hash; None: there is none."""
    if not stored:
        return None

    def text(name: str) -> str:
        return stored.get(name, b"").decode()

    def number(name: str, otherwise: int = 0) -> int:
        return int(stored.get(name, otherwise))

    def time(name: str) -> datetime | None:
        return moment(int(stored[name])) if name in stored else None

    def author(name: str) -> Encoded | None:
        return _value_decoder.decode(stored[name]) if name in stored else None

    return Run(
        id=text("id"),
        namespace=text("namespace"),
        name=text("name"),
        status=RunStatus(text("status")),
        reason=text("reason"),
        message=text("message"),
        attempt=number("attempt"),
        nonce=text("nonce"),
        stop_requested=text("stop_requested"),
        cancel_requested=number("cancel_requested") == 1,
        generation=number("generation", 1),
        code_version=text("code_version"),
        input=author("input"),
        payload=author("payload"),
        result=author("result"),
        error=text("error"),
        wake_at=time("wake_at"),
        wake_on=_names_decoder.decode(stored["wake_on"]) if "wake_on" in stored else (),
        signal_seq=number("signal_seq"),
        restart_id=text("restart_id"),
        forked_from=text("forked_from"),
        record_version=number("record_version", 1),
        version=number("version"),
        created=moment(number("created")),
        started=time("started"),
        updated=moment(number("updated")),
        finished=time("finished"),
        expires=time("expires"),
    )


def to_attempt(stored: bytes, progress: Mapping[str, bytes]) -> Attempt:
    """A value of `:attempts`; `progress` has the counters of the current one as long as it is not over."""
    found = _attempt_decoder.decode(stored)
    if found.steps_done is None:
        found.steps_done = int(progress.get("done", 0))
        found.last_saved = int(progress["saved"]) if "saved" in progress else None
        found.progressed = found.steps_done > 0 or "advanced" in progress
    return Attempt(
        number=found.number,
        pod_name=found.pod_name,
        pod_uid=found.pod_uid,
        node=found.node,
        process_id=found.process_id,
        minted=moment(found.minted),
        begun=maybe_moment(found.begun),
        ended=maybe_moment(found.ended),
        end_kind=found.end_kind,
        cause=found.cause,
        message=found.message,
        exit_code=found.exit_code,
        generation=found.generation,
        written_end=found.written_end,
        steps_done=found.steps_done,
        last_saved=maybe_moment(found.last_saved),
        progressed=found.progressed,
    )


def to_attempts(stored: Iterable[bytes], progress: Mapping[str, bytes]) -> tuple[Attempt, ...]:
    """All attempts, in order."""
    return tuple(sorted((to_attempt(each, progress) for each in stored), key=lambda attempt: attempt.number))


def to_steps(document: bytes) -> tuple[Step, ...]:
    """Steps, by ordinal: a resume reads all that were ever finished."""
    return tuple(
        Step(
            name=step.name,
            key=step.key,
            ordinal=step.ordinal,
            status=_STEP_STATUS[step.status],
            attempt=step.attempt,
            tries=step.tries,
            interruptions=step.interruptions,
            write_id=write_id,
            result=result,
            error=step.error,
            started=maybe_moment(step.started),
            finished=maybe_moment(step.finished),
            progress_current=step.progress_current,
            progress_total=step.progress_total,
            progress_message=step.progress_message,
            saved=maybe_moment(step.saved),
            failures=step.failures,
            final=step.final,
            retry_at=maybe_moment(step.retry_at),
            effect=step.effect,
            deadline=maybe_moment(step.deadline),
            expires=maybe_moment(step.expires),
            until_done=step.until_done,
        )
        for write_id, step, result in _sorted_steps(document)
    )


def _sorted_steps(document: bytes) -> list[tuple[str, StoredStep, Encoded | None]]:
    found = _steps_decoder.decode(document)
    found.sort(key=lambda each: (each[1].ordinal, each[1].name, each[1].key))
    return found


def to_tries(replaced: Iterable[bytes], document: bytes, attempts: Iterable[bytes]) -> tuple[StepTry, ...]:
    """Every try, by step: of `replaced` ones, and the newest of each step that is there."""
    steps = [step for _, step, _ in _sorted_steps(document)]
    ended = {each.number: each.ended for each in map(_attempt_decoder.decode, attempts)}
    tries: dict[tuple[str, str], list[StoredTry]] = {(step.name, step.key): [] for step in steps}
    earlier = list(map(_try_decoder.decode, replaced))
    for each in sorted(earlier, key=lambda each: (each.name, each.key)):  # those of a step stay in their order
        tries.setdefault((each.name, each.key), []).append(each)
    for step in steps:
        over = ended.get(step.attempt) if step.status == StepStatus.STARTED else None
        tries[step.name, step.key].append(
            StoredTry(
                name=step.name,
                key=step.key,
                attempt=step.attempt,
                # One that was started by an attempt that is over was interrupted, though no later one has touched it.
                outcome=step.status if over is None else "Interrupted",
                error=step.error,
                started=step.started,
                finished=step.finished if over is None else step.saved or over,
            )
        )
    return tuple(_to_try(each, number) for of_step in tries.values() for number, each in enumerate(of_step, 1))


def _to_try(stored: StoredTry, number: int) -> StepTry:
    return StepTry(
        name=stored.name,
        key=stored.key,
        number=number,
        attempt=stored.attempt,
        outcome=stored.outcome,
        error=stored.error,
        started=maybe_moment(stored.started),
        finished=maybe_moment(stored.finished),
    )


def to_cursors(document: bytes) -> tuple[Cursor, ...]:
    """Cursors, by step."""
    found = _cursors_decoder.decode(document)
    found.sort(key=lambda each: (each[1].name, each[1].key))
    return tuple(
        Cursor(
            name=cursor.name,
            key=cursor.key,
            value=saved,
            checkpoint=cursor.checkpoint,
            sequence=cursor.sequence,
            attempt=cursor.attempt,
            write_id=write_id,
            saved=moment(cursor.saved),
        )
        for write_id, cursor, saved in found
    )


def to_signals(document: bytes) -> tuple[Signal, ...]:
    """Signals, oldest first."""
    found = _signals_decoder.decode(document)
    found.sort(key=lambda each: each[1].number)
    return tuple(
        Signal(
            id=signal.id,
            name=signal.name,
            payload=payload,
            sender=signal.sender,
            sent=moment(signal.sent),
            consumed_by=signal.consumed_by,
        )
        for _, signal, payload in found
    )


def to_event(entry: tuple[bytes, Mapping[bytes, bytes]]) -> Event:
    """An entry of `:events`."""
    number, fields = entry
    event = _event_decoder.decode(fields[b"e"])
    return Event(
        sequence=int(number.partition(b"-")[0]),
        type=event.type,
        message=event.message,
        attempt=event.attempt,
        at=moment(event.at),
    )


def without_results(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The same steps, their results left out."""
    return tuple(msgspec.structs.replace(step, result=None) for step in steps)
