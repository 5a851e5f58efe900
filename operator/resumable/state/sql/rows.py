"""Rows as the structs of `resumable.state.record`, and back."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, null

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
)
from resumable.state.sql.tables import attempt, cursor, event, run, signal, step

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP_STATUS = {status.value: status for status in StepStatus}

RUN = [column for column in run.c if column.name not in ("payload_write_id", "payload_sequence", "end_write_id")]
ATTEMPT = [column for column in attempt.c if column.name not in ("run_id", "nonce", "code_version")]
STEP = [column for column in step.c if column.name not in ("run_id", "sequence")]
STEP_WITHOUT_RESULT = [null() if column.name in ("result_codec", "result") else column for column in STEP]
SIGNAL = [column for column in signal.c if column.name not in ("run_id", "sequence")]
CURSOR = [column for column in cursor.c if column.name not in ("run_id", "advanced_in")]
EVENT = [column for column in event.c if column.name != "run_id"]


def moment(milliseconds: int) -> datetime:
    """A stored time."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def maybe_moment(milliseconds: int | None) -> datetime | None:
    """A stored time that may not have come yet."""
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds(at: datetime) -> int:
    """A moment, as it is stored."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def encoded(codec: str | None, data: bytes | None) -> Encoded | None:
    """A value of the author's, from its two columns."""
    return None if codec is None else Encoded(codec, data or b"")


def encoded_columns(name: str, value: Encoded | None) -> dict[str, Any]:
    """A value of the author's, for its two columns."""
    return {f"{name}_codec": value.codec if value else None, name: value.data if value else None}


def names_column(names: tuple[str, ...]) -> str:
    """Names of signals, for their column."""
    return msgspec.json.encode(names).decode() if names else ""


def to_run(row: Row[Any]) -> Run:
    """A row of `RUN`."""
    columns = dict(row._mapping)
    for name in ("input", "payload", "result"):
        columns[name] = encoded(columns.pop(f"{name}_codec"), columns[name])
    return Run(
        **columns
        | {
            "status": RunStatus(row.status),
            "wake_at": maybe_moment(row.wake_at),
            "wake_on": msgspec.json.decode(row.wake_on, type=tuple[str, ...]) if row.wake_on else (),
            "expires": maybe_moment(row.expires),
            "created": moment(row.created),
            "started": maybe_moment(row.started),
            "updated": moment(row.updated),
            "finished": maybe_moment(row.finished),
        }
    )


def to_attempt(row: Row[Any], derived: Mapping[str, Any]) -> Attempt:
    """A row of `ATTEMPT`; `derived` has the counters of one that is not over."""
    columns = {**row._mapping, **derived}
    return Attempt(
        **columns
        | {
            "minted": moment(row.minted),
            "begun": maybe_moment(row.begun),
            "ended": maybe_moment(row.ended),
            "end_kind": EndKind(row.end_kind) if row.end_kind else None,
            "written_end": RunStatus(row.written_end) if row.written_end else None,
            "last_saved": maybe_moment(columns["last_saved"]),
        }
    )


def to_steps(rows: Iterable[Row[*tuple[Any, ...]]]) -> tuple[Step, ...]:
    """Rows of `STEP` or `STEP_WITHOUT_RESULT`, by position and with few calls: a resume reads all finished steps."""
    return tuple(
        Step(
            name=name,
            key=key,
            ordinal=ordinal,
            status=_STEP_STATUS[status],
            attempt=number,
            tries=tries,
            interruptions=interruptions,
            write_id=write_id,
            result=None if codec is None else Encoded(codec, result or b""),
            error=error,
            started=None if started is None else _EPOCH + timedelta(0, 0, 0, started),
            finished=None if finished is None else _EPOCH + timedelta(0, 0, 0, finished),
            progress_current=current,
            progress_total=total,
            progress_message=message,
            saved=None if saved is None else moment(saved),
            failures=failures,
            final=final,
            retry_at=None if retry_at is None else moment(retry_at),
            effect=effect,
            deadline=None if deadline is None else moment(deadline),
            expires=None if expires is None else moment(expires),
            until_done=until_done,
        )
        for (
            name,
            key,
            ordinal,
            status,
            number,
            write_id,
            tries,
            interruptions,
            codec,
            result,
            error,
            started,
            finished,
            current,
            total,
            message,
            saved,
            failures,
            final,
            retry_at,
            effect,
            deadline,
            expires,
            until_done,
        ) in rows
    )


def to_cursor(row: Row[Any]) -> Cursor:
    """A row of `CURSOR`."""
    columns = dict(row._mapping)
    value = encoded(columns.pop("value_codec"), columns.pop("value"))
    return Cursor(**columns | {"value": value, "saved": moment(row.saved)})


def to_signal(row: Row[Any]) -> Signal:
    """A row of `SIGNAL`."""
    columns = dict(row._mapping)
    payload = encoded(columns.pop("payload_codec"), columns["payload"])
    return Signal(**columns | {"payload": payload, "sent": moment(row.sent)})


def to_event(row: Row[Any]) -> Event:
    """A row of `EVENT`."""
    return Event(**dict(row._mapping) | {"at": moment(row.at)})
