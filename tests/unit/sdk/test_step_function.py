import functools
from typing import Any

import pytest

from resumable import StepContext
from resumable.sdk.annotations import Unresolved
from resumable.sdk.step_function import shape


def plain(x: int) -> str:
    return str(x)


def with_context(step: StepContext[int], x: int) -> str:
    return str(x)


def as_text(step: "StepContext[str]", x: int) -> "list[int]":
    return [x]


def unresolved(step: "StepContext[NotHere]") -> "NotHere":  # type: ignore[name-defined]  # noqa: F821
    ...


class Importer:
    def run(self, step: StepContext[int]) -> int:
        return 1

    def __call__(self, step: StepContext[float]) -> int:
        return 1


@pytest.mark.parametrize(
    ("function", "takes_context", "cursor", "result"),
    [
        (plain, False, Any, str),
        (with_context, True, int, str),
        (as_text, True, str, list[int]),
        (Importer().run, True, int, int),
        (Importer(), True, float, int),
        (functools.partial(with_context, x=1), True, int, str),
        (lambda: 3, False, Any, Any),
        (Importer, False, Any, Importer),
        (len, False, Any, Any),
    ],
)
def test_a_function_says_what_it_wants(function: Any, takes_context: bool, cursor: Any, result: Any) -> None:
    found = shape(function)
    assert (found.takes_context, found.cursor, found.result) == (takes_context, cursor, result)


def test_a_context_is_found_also_when_its_annotation_names_what_is_not_there() -> None:
    assert shape(unresolved).takes_context
    assert shape(unresolved).result == Unresolved("NotHere")


def test_a_decorated_function_is_seen_through() -> None:
    @functools.wraps(with_context)
    def wrapper(*args: Any, **kwargs: Any) -> Any: ...

    assert shape(wrapper).takes_context
