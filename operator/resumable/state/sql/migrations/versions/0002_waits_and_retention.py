"""Waits and signals, retries that are final, effects, retention, restarts and forks.

Rows that are there already get defaults that say what was true of them: generation 1, kept for ever.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _add(
        "run",
        sa.Column("payload_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("wake_at", sa.BigInteger(), nullable=True),
        sa.Column("wake_on", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("signal_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("restart_id", sa.String(length=128), server_default=sa.text("''"), nullable=False),
        sa.Column("forked_from", sa.String(length=128), server_default=sa.text("''"), nullable=False),
        sa.Column("record_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=True),
    )
    _add(
        "attempt",
        sa.Column("generation", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("written_end", sa.String(length=128), nullable=True),
        sa.Column("code_version", sa.Text(), server_default=sa.text("''"), nullable=False),
    )
    _add(
        "step",
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("final", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("effect", sa.String(length=128), server_default=sa.text("''"), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("until_done", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_table(
        "signal",
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=384), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("payload_codec", sa.String(length=128), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("consumed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "id"),
    )
    _partial_index("run_woken", "run", ["reason", "updated"], "reason IN ('SignalReceived', 'Restarted')")
    _partial_index("run_expires", "run", ["expires"], "expires IS NOT NULL")
    _partial_index("step_expires", "step", ["expires"], "expires IS NOT NULL AND result_codec IS NOT NULL")
    op.execute(
        "UPDATE step SET failures = tries - interruptions - CASE WHEN status = 'Failed' THEN 0 ELSE 1 END"
        " WHERE status <> 'Done'"
    )
    # Only the newest version that began was kept until now.
    op.execute(
        "UPDATE attempt SET code_version = (SELECT run.code_version FROM run WHERE run.id = attempt.run_id)"
        " WHERE begun IS NOT NULL AND EXISTS (SELECT 1 FROM run WHERE run.id = attempt.run_id)"
    )


def _add(table: str, *columns: sa.Column[object]) -> None:
    # MariaDB commits each change by itself: a migration that was killed half-way is begun again.
    begun_again = op.get_bind().dialect.name == "mysql" or None
    for column in columns:
        op.add_column(table, column, if_not_exists=begun_again)


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    """MariaDB has no partial ones: there it is whole."""
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
