"""Values that are no data: what they are called in errors, and what to do instead of storing them.

They are told by their type's name and module, never by importing the package: that would cost seconds.
"""

import io
import math
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from resumable.sdk.codec.exactness import parts_of

FILES_HINT = "; keep it in a file: step.checkpoint() inside the step, and return what finds it again"

NO_NAN = "JSON has no nan and no infinity: return None, or a text, in its place"

_ARRAYS = frozenset({"numpy", "scipy", "jax", "jaxlib", "cupy"})
_TABLES = frozenset({"pandas", "polars", "pyarrow", "geopandas", "dask", "pyspark"})
_MODELS = frozenset(
    {"sklearn", "torch", "tensorflow", "keras", "xgboost", "lightgbm", "catboost", "transformers", "PIL", "matplotlib"}
)
_CONNECTIONS = frozenset(
    {"sqlalchemy", "psycopg", "psycopg2", "sqlite3", "pymysql", "redis", "socket", "ssl", "http", "urllib3", "requests"}
    | {"httpx", "aiohttp", "boto3", "botocore", "asyncpg"}
)
_THREADING = frozenset({"_thread", "threading", "multiprocessing", "asyncio", "concurrent", "_asyncio", "contextvars"})


class Unstorable(Exception):
    """Raised inside the encoder, with the value that it is about: a large object holds it somewhere."""

    def __init__(self, value: Any) -> None:
        super().__init__(f"{type_name(value)} is none of the types that JSON and msgspec know{hint(value)}")
        self.value = value


def type_name(value: Any) -> str:
    """As it is imported: `datetime.date`; the built-in ones without a module."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def where(root: Any, wanted: Callable[[Any], bool]) -> str | None:
    """The path from `root` to the first part that is wanted, "[3].model"; "": the root itself, None: no part is."""
    return next(_paths(root, wanted, "", set()), None)


def not_finite(value: Any) -> bool:
    """A number that JSON doesn't have."""
    return type(value) is float and not math.isfinite(value)


def hint(value: Any) -> str:
    """What to do with it instead, to be put behind the error; "" when nothing better is known."""
    if told := _of_the_language(value):
        return f"; {told}"
    packages = {kind.__module__.partition(".")[0] for kind in type(value).__mro__}  # an author's own Module is torch's
    if "numpy" in packages and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return "; return value.item(), a Python number"
    if type(value).__module__.startswith("pandas") and hasattr(value, "to_pydatetime"):
        return "; return value.to_pydatetime(), a datetime of the standard library"
    if packages & _ARRAYS:
        return f"{FILES_HINT}; a small one can be returned as value.tolist()"
    if packages & _TABLES:
        return f"{FILES_HINT} (as Parquet or CSV)"
    if packages & _MODELS:
        return f"{FILES_HINT} (a model's own way of saving it is the best)"
    if packages & _THREADING:
        return "; it lives in this process only: make it where it is used, outside of the result"
    if packages & _CONNECTIONS:
        return "; a connection, or a row of one, lives in this process only: return plain values or an id"
    return ""


def _of_the_language(value: Any) -> str:
    match value:
        case io.IOBase():
            return "an open file lives in this process only: return its path, and open it where it is read"
        case types.CoroutineType() | types.AsyncGeneratorType():
            return "an async function was called but not awaited: await it in an async def, in an async job"
        case types.GeneratorType():
            return "a generator can be read only once, and in this process: return list(…), or loop inside the step"
        case types.LambdaType() | types.BuiltinFunctionType() | types.MethodType():
            return "a function is code, not data: return what it computes, or a name by which it is found"
        case types.ModuleType() | type():
            return "it is code, not data: return its name"
        case BaseException():
            return "return what is needed of it, as str(error); an error that is raised fails the step"
        case memoryview():
            return "return bytes(…) of it"
        case Mapping():
            return "return dict(…) of it"
        case Iterator():
            return "an iterator can be read only once, and in this process: return list(…)"
        case complex():
            return "return its parts, (value.real, value.imag)"
    if type(value).__module__ in ("builtins", "collections") and hasattr(value, "__iter__"):  # a dict's views, a deque
        return "return list(…) of it"
    if hasattr(type(value), "__next__"):
        return "an iterator can be read only once, and in this process: return list(…)"
    for base in (int, float, str, bytes):
        if isinstance(value, base) and type(value).__module__.partition(".")[0] != "numpy":
            return f"return {base.__name__}(value)"
    return ""


def _paths(root: Any, wanted: Callable[[Any], bool], path: str, seen: set[int]) -> Iterator[str]:
    if wanted(root):
        yield path
        return
    parts = parts_of(root)
    if not parts or id(root) in seen:
        return
    seen.add(id(root))
    for name, part in parts:
        yield from _paths(part, wanted, path + name, seen)
