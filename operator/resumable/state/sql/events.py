"""Events wake readers; what is shown is read from run and step.

One for each transition of the run, none for a finished step: that would double the rows of a fast job.
"""

from sqlalchemy import Connection, delete, insert, or_, select

from resumable.state.sql.tables import event
from resumable.state.sql.text import free_text, word

# Kept per run: so many, so long.
MOST = 1000
LONGEST_MS = 7 * 24 * 3600 * 1000


def add(connection: Connection, now: int, run_id: str, kind: str, attempt: int, message: str = "") -> None:
    """Append an event, in the transaction of the change that it tells of, and drop what is beyond the bounds."""
    values = {"run_id": run_id, "type": word(kind), "message": free_text(message), "attempt": attempt, "at": now}
    connection.execute(insert(event).values(values))
    newest_to_drop = (
        select(event.c.sequence)
        .where(event.c.run_id == run_id)
        .order_by(event.c.sequence.desc())
        .offset(MOST)
        .limit(1)
        .scalar_subquery()
    )
    beyond = or_(event.c.sequence <= newest_to_drop, event.c.at < now - LONGEST_MS)
    connection.execute(delete(event).where(event.c.run_id == run_id, beyond))
