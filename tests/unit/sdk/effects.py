"""What really ran."""

from collections.abc import Callable
from typing import Any


class Effects(list[str]):
    """What really ran: the judge, outside the system."""

    def of(self, effect: str, result: Any = None) -> Callable[[], Any]:
        def act() -> Any:
            self.append(effect)
            return result

        return act
