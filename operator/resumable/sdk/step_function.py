"""What a step needs to know of its function: whether it wants a `StepContext`, and which types it saves and returns."""

import inspect
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_origin
from weakref import WeakKeyDictionary

from resumable.sdk.annotations import Unresolved, namespace_of, resolve, result_type
from resumable.sdk.context import StepContext

_CONTEXT_AS_TEXT = re.compile(r"""^['"]?(?:\w+\.)*StepContext\b""")


@dataclass(frozen=True, slots=True)
class Shape:
    """`Any` where the function doesn't say."""

    takes_context: bool
    cursor: Any
    result: Any


_shapes: WeakKeyDictionary[Callable[..., Any], Shape] = WeakKeyDictionary()


def shape(function: Callable[..., Any]) -> Shape:
    """The function's shape; remembered for plain functions, because a loop asks again and again."""
    if not isinstance(function, types.FunctionType):
        return _shape(function)
    known = _shapes.get(function)
    if known is None:
        known = _shapes[function] = _shape(function)
    return known


def _shape(function: Callable[..., Any]) -> Shape:
    annotation = _first_annotation(function)
    takes_context = _is_context(annotation)
    arguments = get_args(annotation) if takes_context else ()
    cursor = arguments[0] if arguments else Any
    return Shape(takes_context, cursor, result_type(function))


def _first_annotation(function: Callable[..., Any]) -> Any:
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # some built-in functions have no signature
        return Any
    return resolve(first.annotation, namespace_of(function)) if first else Any


def _is_context(annotation: Any) -> bool:
    if isinstance(annotation, Unresolved):  # its argument may be what is missing: it is a context all the same
        return _CONTEXT_AS_TEXT.match(annotation.text) is not None
    return annotation is StepContext or get_origin(annotation) is StepContext
