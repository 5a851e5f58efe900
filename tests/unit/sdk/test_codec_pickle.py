"""Pickle on request, and only on request."""

import collections
import fractions
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from resumable import InvalidStep, Job, UnreadableResult, UnstorableResult, job
from resumable.sdk import codec
from resumable.state.record import Encoded
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.effects import Effects

VALUE = collections.Counter({fractions.Fraction(1, 3): 2})


class Refuses:
    def __reduce__(self) -> Any:
        return (_refuse, ())


def _refuse() -> None:
    raise LookupError("not here")


class Turns:
    def __reduce__(self) -> Any:
        return (str, ("another thing",))


@pytest.fixture
def danger() -> Iterator[list[str]]:
    _ran.clear()
    yield _ran
    _ran.clear()


_ran: list[str] = []


class Danger:
    def __reduce__(self) -> Any:
        return (_ran.append, ("it ran",))


def test_a_pickled_result_comes_back_in_the_next_attempt(store: SqlStore, effects: Effects) -> None:
    @job("j")
    def work(j: Job) -> int:
        counts = j.options(codec="pickle").step("count", effects.of("count", VALUE))
        assert counts == VALUE
        assert type(counts) is collections.Counter
        if not j.replaying and effects == ["count"]:
            effects.append("failed")
            raise RuntimeError("once")
        return 1

    with pytest.raises(RuntimeError, match="once"):
        work.run(store=store)
    assert work.run(store=store) == 1
    assert effects == ["count", "failed"]
    assert [step.result.codec for step in store.list_steps("j") if step.result] == ["pickle"]


def test_a_pickle_is_never_read_by_a_step_that_does_not_ask_for_it(danger: list[str]) -> None:
    record = Encoded("pickle", pickle.dumps(Danger()))
    with pytest.raises(UnreadableResult, match=r"step 's': the result is a pickle.*j\.options\(codec='pickle'\)"):
        codec.decode(record, Any, of="step 's': the result")
    assert danger == []


def test_a_step_that_asks_for_pickle_reads_the_json_that_an_earlier_version_stored() -> None:
    assert codec.decode(codec.encode([1], Any, of="x"), Any, of="x", pickled=True) == [1]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda: 1, "can't be pickled"),
        (Refuses(), "whose pickle can't be read again: not here"),
        (Turns(), "from its pickle comes a str"),
        (b"a" * 200, r"bytes of pickle; the limit is 100 \(max_result_bytes=\)"),
    ],
)
def test_what_would_not_come_back_from_its_pickle_is_refused_at_once(value: Any, said: str) -> None:
    with pytest.raises(UnstorableResult, match=f"^step 's': the result .*{said}"):
        codec.encode(value, Any, of="step 's': the result", limit=100, limit_name="max_result_bytes=", pickled=True)


def test_a_pickle_whose_class_is_gone_says_so() -> None:
    with pytest.raises(UnreadableResult, match="can't be read by this code: ModuleNotFoundError"):
        codec.decode(Encoded("pickle", b"cno_such_module\nThing\n."), Any, of="x", pickled=True)


def test_a_large_pickle_is_compressed() -> None:
    stored = codec.encode([VALUE] * 2000 + ["a"] * 9000, Any, of="x", pickled=True)
    assert stored.codec == "pickle+zlib"
    assert codec.decode(stored, Any, of="x", pickled=True)[0] == VALUE


def test_another_codec_is_refused_by_name(store: SqlStore) -> None:
    @job("j")
    def work(j: Job) -> None:
        j.options(codec="yaml")  # type: ignore[arg-type]

    with pytest.raises(InvalidStep, match="codec= is 'json' or 'pickle', not 'yaml'"):
        work.run(store=store)
