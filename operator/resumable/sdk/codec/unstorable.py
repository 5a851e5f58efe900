"""Values that are no data: what they are called in errors, and what to do instead of storing them."""

from typing import Any

FILES_HINT = "; keep it in a file: step.checkpoint() inside the step, and return what finds it again"
_LARGE_VALUE_MODULES = (
    "numpy",
    "pandas",
    "sklearn",
    "scipy",
    "torch",
    "tensorflow",
    "jax",
    "polars",
    "xgboost",
    "lightgbm",
)


def type_name(value: Any) -> str:
    """As it is imported: `datetime.date`; the built-in ones without a module."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def hint(value: Any) -> str:
    """What to do with it instead, to be put behind the error; "" when nothing better is known."""
    package = type(value).__module__.partition(".")[0]
    if package == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return "; return value.item(), a Python number"
    return FILES_HINT if package in _LARGE_VALUE_MODULES else ""
