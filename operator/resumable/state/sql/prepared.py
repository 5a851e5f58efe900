"""SQLAlchemy statements made ready for the driver.

Going through SQLAlchemy costs about as much Python per statement as the database takes for it. The guarded write is
made once per step, so that its statements are compiled once and go to the driver directly, with named parameters.
"""

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import ClauseElement


def prepared(statement: ClauseElement, dialect: Dialect) -> str:
    """The statement's text, its constants in it."""
    return str(statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))
