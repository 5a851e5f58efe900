"""SQLAlchemy statements made ready for the driver: compiled once, with their constants filled in."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import ClauseElement


class Prepared:
    """A statement as text, with named parameters.

    Going through SQLAlchemy costs about as much Python per statement as the database takes for it; the guarded write is made once per
    step, so that it goes to the driver directly.
    """

    __slots__ = ("constants", "sql")

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self.constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}  # type: ignore[attr-defined]

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the driver gets."""
        return {**self.constants, **given}
