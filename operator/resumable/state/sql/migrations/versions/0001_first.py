"""The first schema."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("pod_name", sa.String(length=253), nullable=False),
        sa.Column("pod_uid", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=253), nullable=False),
        sa.Column("process_id", sa.String(length=64), nullable=False),
        sa.Column("minted", sa.BigInteger(), nullable=False),
        sa.Column("begun", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("end_kind", sa.String(length=128), nullable=True),
        sa.Column("cause", sa.String(length=128), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("steps_done", sa.Integer(), nullable=True),
        sa.Column("last_saved", sa.BigInteger(), nullable=True),
        sa.Column("progressed", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "number"),
    )
    op.create_table(
        "cursor",
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value_codec", sa.String(length=128), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("advanced_in", sa.Integer(), nullable=False),
        sa.Column("write_id", sa.String(length=64), nullable=False),
        sa.Column("saved", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", "key"),
    )
    op.create_table(
        "event",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("event_by_run", "event", ["run_id", "sequence"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("namespace", sa.String(length=253), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("status", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.String(length=128), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("stop_requested", sa.String(length=128), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("input_codec", sa.String(length=128), nullable=True),
        sa.Column("input", sa.LargeBinary(), nullable=True),
        sa.Column("payload_codec", sa.String(length=128), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("payload_write_id", sa.String(length=64), nullable=False),
        sa.Column("result_codec", sa.String(length=128), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("end_write_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("run_by_namespace", "run", ["namespace", "created"], unique=False)
    op.create_table(
        "step",
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=128), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("write_id", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.Column("result_codec", sa.String(length=128), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.Column("progress_current", sa.Float(precision=53), nullable=True),
        sa.Column("progress_total", sa.Float(precision=53), nullable=True),
        sa.Column("progress_message", sa.Text(), nullable=False),
        sa.Column("saved", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "name", "key"),
    )
    op.create_index(
        "step_unfinished",
        "step",
        ["run_id", "ordinal"],
        sqlite_where=sa.text("status != 'Done'"),
        postgresql_where=sa.text("status != 'Done'"),
    )
    op.create_table(
        "step_try",
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=128), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "name", "key", "number"),
    )
    op.create_table(
        "store",
        sa.Column("uuid", sa.String(length=64), nullable=False),
        sa.Column("leader_epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.execute(_name_the_store())


def _name_the_store() -> sa.Insert:
    """A store made anew, or another one, is told apart by its UUID."""
    store = sa.table("store", sa.column("uuid"), sa.column("created"))
    now = {
        "sqlite": "CAST(strftime('%s', 'now') AS INTEGER) * 1000",
        "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        "mysql": "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
    }[op.get_bind().dialect.name]
    return sa.insert(store).values(uuid=str(uuid.uuid4()), created=sa.literal_column(now))
