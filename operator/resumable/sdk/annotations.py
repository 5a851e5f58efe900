"""What a function's annotations say: whether it wants a StepContext, and which types go in and out."""

import functools
import inspect
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary

_CONTEXT_AS_TEXT = re.compile(r"""^['"]?(?:\w+\.)*StepContext\b""")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation that names something which is not there at run time (imported under TYPE_CHECKING, or local to a
    function).
    """

    text: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a step needs to know of its function. `Any` where the function doesn't say."""

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
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return Shape(takes_context=False, cursor=Any, result=Any)
    namespace = _namespace(function)
    first = next(iter(signature.parameters.values()), None)
    annotation = resolve(first.annotation, namespace) if first else Any
    takes_context = _is_context(annotation)
    arguments = get_args(annotation) if takes_context else ()
    return Shape(
        takes_context=takes_context,
        cursor=arguments[0] if arguments else Any,
        result=function if isinstance(function, type) else resolve(signature.return_annotation, namespace),
    )


def parameters(function: Callable[..., Any]) -> list[tuple[inspect.Parameter, Any]]:
    """The function's parameters with their resolved annotations."""
    namespace = _namespace(function)
    return [(p, resolve(p.annotation, namespace)) for p in inspect.signature(function).parameters.values()]


def resolve(annotation: Any, namespace: dict[str, Any]) -> Any:
    """The annotation as an object: text is looked up, a missing one is `Any`."""
    if annotation is inspect.Parameter.empty or isinstance(annotation, TypeVar):
        return Any
    if isinstance(annotation, str):
        try:
            return resolve(eval(annotation, namespace), namespace)  # what typing.get_type_hints does, one by one
        except Exception:  # noqa: BLE001 - an annotation is arbitrary code
            return Unresolved(annotation)
    return type(None) if annotation is None else annotation


def _namespace(function: Callable[..., Any]) -> dict[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not isinstance(function, (types.FunctionType, types.MethodType, type)):
        function = type(function).__call__  # an object that can be called
    module = sys.modules.get(getattr(function, "__module__", ""), None)
    namespace: dict[str, Any] = getattr(function, "__globals__", None) or getattr(module, "__dict__", {})
    return namespace


def _is_context(annotation: Any) -> bool:
    from resumable.sdk.context import StepContext

    if isinstance(annotation, Unresolved):
        return _CONTEXT_AS_TEXT.match(annotation.text) is not None
    return annotation is StepContext or get_origin(annotation) is StepContext


def readable_type(annotation: Any) -> str:
    """As the author wrote it, about: `list[int]`, `Customer`."""
    if isinstance(annotation, Unresolved):
        return annotation.text
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")
