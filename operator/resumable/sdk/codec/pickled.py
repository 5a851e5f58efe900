"""Pickle, for who asks for it: `j.options(codec="pickle")`.

Reading a pickle runs code that is in it. Whoever can write to the store could so run code in a worker; and a class that
is moved or changed makes old pickles unreadable. So a pickled record is read only where the code asks for it again.
"""

import pickle
from typing import Any

from resumable.sdk.codec.unstorable import FILES_HINT, type_name
from resumable.sdk.errors import UnreadableResult, UnstorableResult
from resumable.state.limits import LARGEST_VALUE

PICKLE = "pickle"


def to_pickle(value: Any, *, of: str, limit: int, limit_name: str) -> bytes:
    """Raises `UnstorableResult`, also for what can be pickled but not read again."""
    try:
        data = pickle.dumps(value, protocol=5)
    except Exception as error:
        raise UnstorableResult(f"{of} is a {type_name(value)}, which can't be pickled: {error}") from error
    most = min(limit, LARGEST_VALUE)
    if len(data) > most:
        raise UnstorableResult(
            f"{of} ({type_name(value)}) is {len(data):,} bytes of pickle; the limit is {most:,} ({limit_name})"
            f"{FILES_HINT}"
        )
    try:
        back = pickle.loads(data)
    except Exception as error:
        raise UnstorableResult(f"{of} is a {type_name(value)}, whose pickle can't be read again: {error}") from error
    if type(back) is not type(value):
        raise UnstorableResult(f"{of} is a {type_name(value)}; from its pickle comes a {type_name(back)}")
    return data


def from_pickle(data: bytes, *, of: str) -> Any:
    """Runs what the pickle says. Raises `UnreadableResult`."""
    try:
        return pickle.loads(data)
    except Exception as error:
        raise UnreadableResult(
            f"{of} was pickled by an earlier attempt and can't be read by this code: {type(error).__name__}: {error}"
        ) from error
