"""Values that are no data: refused with what to do instead."""

import asyncio
import io
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy
from sklearn.linear_model import SGDClassifier

from resumable.sdk import codec
from resumable.sdk.errors import UnstorableResult


def numbers() -> Iterator[int]:
    yield 1


async def fetch() -> int:
    return 1


def like(module: str, name: str) -> type:
    """A class that says it comes from a package too large to install for this."""
    return types.new_class(name, exec_body=lambda body: body.update(__module__=module))


class OwnNetwork(like("torch.nn.modules.module", "Module")):  # type: ignore[misc]
    """An author's own model: only its base is torch's."""


class Text(str):
    pass


def awaited(make: Callable[[], Any]) -> Any:
    value = make()
    value.close()
    return value


KINDS: list[tuple[Any, str]] = [
    (np.zeros(3), r"step\.checkpoint\(\).*value\.tolist\(\)"),
    (np.float64(1), r"return value\.item\(\), a Python number"),
    (np.int32(1), r"return value\.item\(\)"),
    (pd.DataFrame({"a": [1]}), r"step\.checkpoint\(\).*as Parquet or CSV"),
    (pd.Timestamp("2026-01-01"), r"value\.to_pydatetime\(\)"),
    (SGDClassifier(), r"step\.checkpoint\(\).*a model's own way"),
    (like("torch", "Tensor")(), r"step\.checkpoint\(\)"),
    (OwnNetwork(), r"step\.checkpoint\(\).*a model's own way"),
    (io.StringIO(), "an open file .*return its path"),
    (numbers(), r"a generator can be read only once.*list\(…\)"),
    (map(abs, [1]), r"an iterator can be read only once.*list\(…\)"),
    (awaited(fetch), "called but not awaited: await it in an async def"),
    (threading.Lock(), "lives in this process only: make it where it is used"),
    (threading.Event(), "lives in this process only"),
    (asyncio.Event(), "lives in this process only"),
    (lambda: 1, "a function is code, not data"),
    (len, "a function is code, not data"),
    (Path, "it is code, not data: return its name"),
    (io, "it is code, not data: return its name"),
    (ValueError("no"), r"as str\(error\)"),
    (range(3), r"return list\(…\)"),
    ({"a": 1}.keys(), r"return list\(…\)"),
    (deque([1]), r"return list\(…\)"),
    (types.MappingProxyType({"a": 1}), r"return dict\(…\)"),
    (1 + 2j, r"\(value\.real, value\.imag\)"),
    (Text("a"), r"return str\(value\)"),
    (sqlalchemy.create_engine("sqlite://"), "a connection, or a row of one, lives in this process only"),
]


@pytest.mark.parametrize(("value", "said"), KINDS, ids=[type(value).__name__ for value, _ in KINDS])
def test_what_is_no_data_is_refused_with_what_to_do_instead(value: Any, said: str) -> None:
    with pytest.raises(UnstorableResult, match=rf"(?s)^step 's': the result is a .*, which can't be stored: .*{said}"):
        codec.encode(value, Any, of="step 's': the result")


@dataclass
class Trained:
    scores: list[float]
    models: dict[str, Any]


def test_the_place_inside_a_larger_value_is_named() -> None:
    value = [Trained([1.0], {}), Trained([1.0], {"best": SGDClassifier()})]
    with pytest.raises(UnstorableResult, match=r"at \[1\]\.models\['best'\]: sklearn.*SGDClassifier is none of"):
        codec.encode(value, list[Trained], of="x")


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(UnstorableResult, match="can't be stored"):
        codec.encode(value, list[Any], of="x")
