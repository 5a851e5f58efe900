"""The controller's store: what is unavailable is asked again, as the real controller does in its next round."""

import time
from typing import Any

from resumable.state.outcome import StoreUnavailable
from resumable.state.store import Store

_PATIENCE = 20.0


class PatientStore:
    """A store whose calls are repeated while it is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        def patient(*args: Any, **kwargs: Any) -> Any:
            deadline = time.monotonic() + _PATIENCE
            while True:
                try:
                    return call(*args, **kwargs)
                except StoreUnavailable:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)

        return patient
