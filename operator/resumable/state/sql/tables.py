"""The schema, as `migrations` makes it. Names and meaning as in `resumable.state.record`.

* Timestamps are milliseconds since 1970 by the store's clock: integers compare and subtract alike in every engine.
* No foreign keys: each would lock the run's row once more for each step, and the guarded write holds that lock already.
* Text is never NULL ("" is "none"), so that comparing needs no third truth value.
* A column that came after the first version has a default in the database: rows of an older one get it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    and_,
    false,
    literal_column,
    text,
)

# The primary key of `step` has to fit MariaDB's limit of 3,072 bytes: 768 characters of four bytes.
RUN_ID_LENGTH = 128
STEP_NAME_LENGTH = 255
STEP_KEY_LENGTH = 255
SIGNAL_ID_LENGTH = 384  # holds `<namespace>/<name>` of a Kubernetes resource
ID_LENGTH = 64  # write ids, nonces, process ids and pod UIDs
NAME_LENGTH = 253  # a Kubernetes name
WORD_LENGTH = 128  # an enumeration's value, a CamelCase reason, a codec

# Of an index over some rows only: which ones. Told to the engine that is used (`only_some_rows`) and not to all: an
# option of a dialect loads it, and PostgreSQL's takes 20 ms of each process's start.
WHERE = "where"

metadata = MetaData()

store = Table(
    "store",
    metadata,
    Column("uuid", String(ID_LENGTH), primary_key=True),
    Column("leader_epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("created", BigInteger, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("id", String(RUN_ID_LENGTH), primary_key=True),
    Column("namespace", String(NAME_LENGTH), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("status", String(WORD_LENGTH), nullable=False),
    Column("reason", String(WORD_LENGTH), nullable=False),
    Column("message", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("nonce", String(ID_LENGTH), nullable=False),
    Column("stop_requested", String(WORD_LENGTH), nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("input_codec", String(WORD_LENGTH)),
    Column("input", LargeBinary),
    Column("payload_codec", String(WORD_LENGTH)),
    Column("payload", LargeBinary),
    Column("payload_write_id", String(ID_LENGTH), nullable=False),
    # Of the write in the current attempt that stored it: a late, older one does not take it back.
    Column("payload_sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("result_codec", String(WORD_LENGTH)),
    Column("result", LargeBinary),
    Column("error", Text, nullable=False),
    Column("end_write_id", String(ID_LENGTH), nullable=False),
    Column("wake_at", BigInteger),
    Column("wake_on", Text, nullable=False, server_default=text("''")),  # a JSON array of names; "" for none
    Column("signal_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("restart_id", String(RUN_ID_LENGTH), nullable=False, server_default=text("''")),
    Column("forked_from", String(RUN_ID_LENGTH), nullable=False, server_default=text("''")),
    Column("record_version", Integer, nullable=False, server_default=text("1")),
    Column("version", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("started", BigInteger),
    Column("updated", BigInteger, nullable=False),
    Column("finished", BigInteger),
    Column("expires", BigInteger),
)
Index("run_by_namespace", run.c.namespace, run.c.created)
# What the controller asks for all the time, and what the sweep looks for: few rows of many.
# The reasons of a run that goes on for something that happened in the store alone, until its next attempt is minted.
SIGNAL_RECEIVED = "SignalReceived"
RESTARTED = "Restarted"
WOKEN = run.c.reason.in_((literal_column(f"'{SIGNAL_RECEIVED}'"), literal_column(f"'{RESTARTED}'")))
Index(
    "run_woken",
    run.c.reason,
    run.c.updated,
    info={WHERE: WOKEN},
)
Index(
    "run_expires",
    run.c.expires,
    info={WHERE: run.c.expires.is_not(None)},
)

attempt = Table(
    "attempt",
    metadata,
    Column("run_id", String(RUN_ID_LENGTH), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("nonce", String(ID_LENGTH), nullable=False),
    Column("pod_name", String(NAME_LENGTH), nullable=False),
    Column("pod_uid", String(ID_LENGTH), nullable=False),
    Column("node", String(NAME_LENGTH), nullable=False),
    Column("process_id", String(ID_LENGTH), nullable=False),
    Column("minted", BigInteger, nullable=False),
    Column("begun", BigInteger),
    Column("ended", BigInteger),
    Column("end_kind", String(WORD_LENGTH)),
    Column("cause", String(WORD_LENGTH), nullable=False),
    Column("message", Text, nullable=False),
    Column("exit_code", Integer),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("written_end", String(WORD_LENGTH)),
    Column("code_version", Text, nullable=False, server_default=text("''")),  # that it began with
    # NULL until the attempt is over: derived from `step` and `cursor` so long.
    Column("steps_done", Integer),
    Column("last_saved", BigInteger),
    Column("progressed", Boolean),
)

# The newest try of each step; the ones before are in `step_try`.
step = Table(
    "step",
    metadata,
    Column("run_id", String(RUN_ID_LENGTH), primary_key=True),
    Column("name", String(STEP_NAME_LENGTH), primary_key=True),
    Column("key", String(STEP_KEY_LENGTH), primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("status", String(WORD_LENGTH), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # of the last write that touched the row; -1: only heartbeats did
    Column("write_id", String(ID_LENGTH), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("result_codec", String(WORD_LENGTH)),
    Column("result", LargeBinary),
    Column("error", Text, nullable=False),
    Column("started", BigInteger),
    Column("finished", BigInteger),
    Column("progress_current", Float(53)),
    Column("progress_total", Float(53)),
    Column("progress_message", Text, nullable=False),
    Column("saved", BigInteger),
    # A plain finished step has the defaults, so that its write does not carry them.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("final", Boolean, nullable=False, server_default=false()),
    Column("retry_at", BigInteger),
    Column("effect", String(WORD_LENGTH), nullable=False, server_default=text("''")),
    Column("deadline", BigInteger),
    Column("expires", BigInteger),
    Column("until_done", Boolean, nullable=False, server_default=false()),
)

# Few rows, so that a finished step pays nothing for it. No other index may begin with run_id: PostgreSQL, planning
# while the table is empty, takes it for as good as the primary key, and then reads all steps of a run for each write.
Index(
    "step_unfinished",
    step.c.run_id,
    step.c.ordinal,
    info={WHERE: step.c.status != "Done"},
)
# The sweep takes the result away and leaves the rest of the row.
KEPT_FOR_A_TIME = and_(step.c.expires.is_not(None), step.c.result_codec.is_not(None))
Index(
    "step_expires",
    step.c.expires,
    info={WHERE: KEPT_FOR_A_TIME},
)

# A try that a later one replaced. The newest try is the `step` row itself, so that a fresh step costs one row. Numbers
# go on when a step is forgotten and runs anew.
step_try = Table(
    "step_try",
    metadata,
    Column("run_id", String(RUN_ID_LENGTH), primary_key=True),
    Column("name", String(STEP_NAME_LENGTH), primary_key=True),
    Column("key", String(STEP_KEY_LENGTH), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", String(WORD_LENGTH), nullable=False),  # Failed | Interrupted; Done: it was forgotten since
    Column("error", Text, nullable=False),
    Column("started", BigInteger),
    Column("finished", BigInteger),
)

cursor = Table(
    "cursor",
    metadata,
    Column("run_id", String(RUN_ID_LENGTH), primary_key=True),
    Column("name", String(STEP_NAME_LENGTH), primary_key=True),
    Column("key", String(STEP_KEY_LENGTH), primary_key=True),
    Column("value_codec", String(WORD_LENGTH)),
    Column("value", LargeBinary),
    Column("checkpoint", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column(
        "advanced_in", Integer, nullable=False
    ),  # the attempt that last changed it: saving the same again is no progress
    Column("write_id", String(ID_LENGTH), nullable=False),
    Column("saved", BigInteger, nullable=False),
)

signal = Table(
    "signal",
    metadata,
    Column("run_id", String(RUN_ID_LENGTH), primary_key=True),
    Column("id", String(SIGNAL_ID_LENGTH), primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # the order they came in: `run.signal_seq` after it came
    Column("name", String(STEP_NAME_LENGTH), nullable=False),
    Column("payload_codec", String(WORD_LENGTH)),
    Column("payload", LargeBinary),
    Column("sender", Text, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("consumed_by", Text, nullable=False),  # the label of the wait; "": it is there to be taken
)

# `sequence` is the table's, not the run's: writers of one run don't queue for a number.
event = Table(
    "event",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("run_id", String(RUN_ID_LENGTH), nullable=False),
    Column("type", String(WORD_LENGTH), nullable=False),
    Column("message", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # else a deleted run's numbers are given out again, and a reader that waits misses them
)
Index("event_by_run", event.c.run_id, event.c.sequence)


def only_some_rows(dialect: str) -> None:
    """Let the indexes with a `WHERE` have it in this dialect."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if WHERE in index.info:
                index.dialect_kwargs[f"{dialect}_where"] = index.info[WHERE]
