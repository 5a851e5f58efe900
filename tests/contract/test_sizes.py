"""The largest value that a store takes, and what it says to a larger one."""

from collections.abc import Callable

import pytest

from resumable.state import limits
from resumable.state.outcome import Stored, StoreRefused
from resumable.state.record import Encoded
from resumable.state.store import Expected, NewRun, Store
from tests.contract.runs import Worker, new_run, run_of, step_of

LARGE = Encoded("raw", b"x" * 1001)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(limits, "LARGEST_VALUE", 1000)
    return 1000


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda worker: worker.finish("big", "x" * 1001, key="7"), r"the result of step big\[7\] has 1,003 bytes"),
        (lambda worker: worker.save("rows", "x" * 1001), "the cursor of step rows has 1,003 bytes"),
        (lambda worker: worker.store.save_payload(worker.fence, worker.write(), LARGE), "the payload has 1,001 bytes"),
        (lambda worker: worker.end(result=LARGE), "the run's result has 1,001 bytes"),
        (
            lambda worker: worker.store.create_run(NewRun(id="big", namespace="a", name="b", input=LARGE)),
            "the run's input has 1,001 bytes",
        ),
    ],
)
def test_a_value_that_is_too_large_is_refused_with_its_name_size_and_limit(
    worker: Worker, call: Callable[[Worker], object], what: str
) -> None:
    with pytest.raises(StoreRefused, match=rf"{what}; a store takes at most 1,000: keep large data in a file"):
        call(worker)
    assert worker.store.list_steps(worker.fence.run_id) == ()
    assert worker.finish("small", "x" * 900) == Stored(), "the refusal is of that value alone"


@pytest.mark.usefixtures("limit")
def test_an_input_that_is_too_large_is_refused(store: Store) -> None:
    run = new_run(store)
    with pytest.raises(StoreRefused, match="the run's input has 1,001 bytes"):
        store.set_input(run.id, Expected.of(run), LARGE)
    assert run_of(store, run.id) == run


def test_a_result_of_a_megabyte_comes_back_as_it_was(worker: Worker) -> None:
    megabyte = "é" * 500_000
    assert worker.finish("large", megabyte) == Stored()
    result = step_of(worker, "large").result
    assert result is not None
    assert len(result.data) == 1_000_002
