"""What a function's annotations say, as objects: the types that go in and out."""

import functools
import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation that names something which is not there at run time (imported under TYPE_CHECKING, or local to a
    function).
    """

    text: str


def result_type(function: Callable[..., Any]) -> Any:
    """What the function says that it returns; a class returns itself."""
    if isinstance(function, type):
        return function
    try:
        returned = inspect.signature(function).return_annotation
    except (TypeError, ValueError):  # some built-in functions have no signature
        return Any
    return resolve(returned, namespace_of(function))


def parameters(function: Callable[..., Any]) -> list[tuple[inspect.Parameter, Any]]:
    """The function's parameters with their resolved annotations."""
    namespace = namespace_of(function)
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


def namespace_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Where the names in the function's annotations are looked up."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not isinstance(function, (types.FunctionType, types.MethodType, type)):
        function = type(function).__call__  # an object that can be called
    module = sys.modules.get(getattr(function, "__module__", ""), None)
    namespace: dict[str, Any] = getattr(function, "__globals__", None) or getattr(module, "__dict__", {})
    return namespace


def readable_type(annotation: Any) -> str:
    """As the author wrote it, about: `list[int]`, `Customer`."""
    if isinstance(annotation, Unresolved):
        return annotation.text
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")
