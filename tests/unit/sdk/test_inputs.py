from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from resumable import InvalidInput, Job, JobDefinitionError
from resumable.sdk.inputs import Inputs
from resumable.state.record import Encoded


@dataclass
class Product:
    id: int
    name: str = "?"


def ship(j: Job, product: Product, count: int, on: date | None = None, note: str = "") -> None: ...


INPUTS = Inputs("ship", ship)


def bind(text: str) -> dict[str, Any]:
    return INPUTS.bind(Encoded("json", text.encode()))


def test_is_converted_by_annotation() -> None:
    assert bind('{"product": {"id": 4}, "count": 2, "on": "2026-01-02"}') == {
        "product": Product(4),
        "count": 2,
        "on": date(2026, 1, 2),
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"product": {"id": 4}}', "job 'ship' needs the input 'count'; it takes: product, count, on, note"),
        ("{}", "job 'ship' needs the input 'product', 'count'; it takes"),
        ('{"product": {"id": 4}, "count": 2, "cuont": 3}', "job 'ship' has no parameter 'cuont'; it takes: product"),
        ('{"product": {"id": 4}, "count": "2"}', "the input 'count' must be int, not \"2\": Expected `int`, got `str`"),
        ('{"product": {"id": "x"}, "count": 2}', r"the input 'product' must be Product, not .*\$\.id"),
        ("[1]", "the input must be a JSON object of its arguments"),
        ("{", "the input must be a JSON object of its arguments"),
    ],
)
def test_what_does_not_fit_is_one_sentence_that_names_the_field(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        bind(text)


def test_no_input_is_an_empty_object() -> None:
    def nothing(j: Job) -> None: ...

    assert Inputs("nothing", nothing).bind(None) == {}


def test_settings_from_a_command_line_fit_the_annotation() -> None:
    encoded = INPUTS.parse('{"product": {"id": 4}}', {"count": "3", "note": "0815", "on": "2026-01-02"})
    assert INPUTS.bind(encoded) == {"product": Product(4), "count": 3, "note": "0815", "on": date(2026, 1, 2)}


def test_a_setting_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'count' must be int"):
        INPUTS.parse('{"product": {"id": 4}}', {"count": "three"})


def test_python_values_become_input() -> None:
    assert INPUTS.bind(INPUTS.encode({"product": {"id": 1}, "count": 2})) == {"product": Product(1), "count": 2}


def test_a_job_may_take_any_name() -> None:
    def anything(j: Job, **rest: int) -> None: ...

    assert Inputs("anything", anything).bind(Encoded("json", b'{"a": 1}')) == {"a": 1}


def test_a_parameter_that_has_no_name_is_refused() -> None:
    def wrong(j: Job, x: int, /) -> None: ...

    with pytest.raises(JobDefinitionError, match="'x' can't be given by name"):
        Inputs("wrong", wrong)
