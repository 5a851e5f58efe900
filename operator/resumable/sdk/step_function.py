"""What a step needs to know of its function: whether it is async, whether it wants a context (`StepContext`,
`AsyncStepContext`), and which types it saves and returns.
"""

import inspect
import re
import types
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, get_args, get_origin
from weakref import WeakKeyDictionary

from resumable.sdk.annotations import Unresolved, namespace_of, resolve, result_type
from resumable.sdk.async_context import AsyncStepContext
from resumable.sdk.context import StepContext

_CONTEXT_AS_TEXT = re.compile(r"""^['"]?(?:\w+\.)*(Async)?StepContext\b""")


@dataclass(frozen=True, slots=True)
class Shape:
    """`Any` where the function doesn't say."""

    is_coroutine: bool  # an `async def`, or a partial of one
    takes_context: bool
    cursor: Any
    result: Any
    mistake: str = ""  # why it can't be called as it is written


# These never change, and are told apart by identity.
_REMEMBERED = (types.FunctionType, types.BuiltinFunctionType, type)

_shapes: WeakKeyDictionary[Callable[..., Any], Shape] = WeakKeyDictionary()


def shape(function: Callable[..., Any]) -> Shape:
    """The function's shape; remembered for functions and classes, because a loop asks again and again."""
    if type(function) not in _REMEMBERED:
        return _shape(function)
    known = _shapes.get(function)
    if known is None:
        known = _shapes[function] = _shape(function)
    return known


def is_async(function: Callable[..., Any]) -> bool:
    """Whether it is an `async def`, or an object whose call is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _shape(function: Callable[..., Any]) -> Shape:
    annotation = _first_annotation(function)
    context = _context(annotation)
    arguments = get_args(annotation) if context else ()
    cursor = arguments[0] if arguments else Any
    return Shape(
        is_coroutine=inspect.iscoroutinefunction(function),
        takes_context=context is not None,
        cursor=cursor,
        result=_awaited(result_type(function)),
        mistake=_mistake(function, context),
    )


def _awaited(annotation: Any) -> Any:
    """What is awaited of a plain function that returns something to await."""
    return get_args(annotation)[-1] if get_origin(annotation) in (Awaitable, Coroutine) else annotation


def _mistake(function: Callable[..., Any], context: type | None) -> str:
    if context is StepContext and is_async(function):
        return "an async def gets an AsyncStepContext, whose saves are awaited; annotate its first parameter with that"
    if context is AsyncStepContext and not is_async(function):
        return "a plain function gets a StepContext; only an async def can await what an AsyncStepContext saves"
    return ""


def _first_annotation(function: Callable[..., Any]) -> Any:
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # some built-in functions have no signature
        return Any
    return resolve(first.annotation, namespace_of(function)) if first else Any


def _context(annotation: Any) -> type | None:
    if isinstance(annotation, Unresolved):  # its argument may be what is missing: it is a context all the same
        match = _CONTEXT_AS_TEXT.match(annotation.text)
        return None if match is None else AsyncStepContext if match[1] else StepContext
    kind = get_origin(annotation) or annotation
    return kind if kind in (StepContext, AsyncStepContext) else None
