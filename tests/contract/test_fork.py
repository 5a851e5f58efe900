"""A new run that begins with another's history."""

import pytest

from resumable.state.outcome import StoreRefused
from resumable.state.record import RunStatus, StepRef, StepStatus
from resumable.state.store import NewRun, Store
from tests.contract.runs import Worker, encoded, names, new_run, next_worker, run_of, started


def fork(id_: str = "copy", **more: object) -> NewRun:
    return NewRun(id=id_, namespace="default", name="second", **more)  # type: ignore[arg-type]


@pytest.fixture
def source(store: Store) -> Worker:
    """A run that finished `a`, `b[1]` and `b[2]`, failed in `c`, and is in the middle of `d`."""
    store.create_run(NewRun(id="source", namespace="default", name="first", input=encoded({"n": 1})))
    worker = started(store, "source")
    store.save_payload(worker.fence, worker.write(), encoded({"customer": 7}))
    worker.finish("a", 1, ordinal=0)
    worker.finish("b", 21, key="1", ordinal=1)
    worker.finish("b", 22, key="2", ordinal=2)
    worker.finish("c", error="broken", ordinal=3)
    worker.save("d", 5, ordinal=4)
    return worker


def test_the_new_run_has_what_the_other_finished_and_nothing_else(source: Worker) -> None:
    store = source.store

    run = store.fork_run("source", fork(), None)

    assert run is not None
    assert (run.id, run.name, run.forked_from, run.status, run.attempt) == (
        "copy",
        "second",
        "source",
        RunStatus.PENDING,
        0,
    )
    assert (run.input, run.payload, run.generation) == (encoded({"n": 1}), encoded({"customer": 7}), 1)
    assert [(step.name, step.key, step.result) for step in store.list_steps("copy")] == [
        ("a", "", encoded(1)),
        ("b", "1", encoded(21)),
        ("b", "2", encoded(22)),
    ]
    assert store.list_cursors("copy") == ()
    assert len(store.list_steps("source")) == 5
    assert run_of(store, "source").status is RunStatus.RUNNING


def test_its_first_attempt_goes_on_from_there_and_counts_only_its_own_steps(source: Worker) -> None:
    store = source.store
    run = store.fork_run("source", fork(), None)
    assert run is not None

    worker = next_worker(store, run)

    assert worker.begun is not None
    assert names(worker.begun.steps) == ["a", "b", "b"]
    assert all(step.status is StepStatus.DONE for step in worker.begun.steps)
    worker.finish("c", "this time", ordinal=3)
    view = store.view("copy")
    assert view is not None
    assert (view.attempts[0].steps_done, view.attempts[0].progressed) == (1, True)
    assert [step.error for step in store.list_steps("source") if step.name == "c"] == ["broken"]


@pytest.mark.parametrize(
    ("up_to", "copied"),
    [
        (StepRef("a"), [("a", "")]),
        (StepRef("b", "1"), [("a", ""), ("b", "1")]),
        (StepRef("b"), [("a", ""), ("b", "1"), ("b", "2")]),
        (StepRef("d"), [("a", ""), ("b", "1"), ("b", "2")]),
    ],
)
def test_the_history_goes_up_to_a_step(source: Worker, up_to: StepRef, copied: list[tuple[str, str]]) -> None:
    source.store.fork_run("source", fork(), up_to)

    assert [(step.name, step.key) for step in source.store.list_steps("copy")] == copied


@pytest.mark.parametrize("up_to", [None, StepRef("b")])
def test_what_a_failure_has_undone_is_not_taken_over(source: Worker, up_to: StepRef | None) -> None:
    source.finish("compensate:b", None, key="2", ordinal=5)
    source.finish("on-failure:1", None, ordinal=6)

    source.store.fork_run("source", fork(), up_to)

    assert [(step.name, step.key) for step in source.store.list_steps("copy")] == [("a", ""), ("b", "1")]


def test_an_input_of_its_own_takes_the_place_of_the_others(source: Worker) -> None:
    run = source.store.fork_run("source", fork(input=encoded({"n": 2})), None)

    assert run is not None
    assert run.input == encoded({"n": 2})
    assert run_of(source.store, "source").input == encoded({"n": 1})


def test_forked_twice_it_is_one_run(source: Worker) -> None:
    store = source.store
    first = store.fork_run("source", fork(), StepRef("a"))
    source.finish("e", 9, ordinal=5)

    assert store.fork_run("source", fork(), None) == first

    assert names(store.list_steps("copy")) == ["a"]


def test_a_run_of_that_name_that_is_no_fork_is_left_as_it_is(source: Worker) -> None:
    there = new_run(source.store, "copy")

    assert source.store.fork_run("source", fork(), None) == there

    assert source.store.list_steps("copy") == ()


def test_there_is_no_fork_of_nothing(store: Store) -> None:
    assert store.fork_run("nobody", fork(), None) is None
    assert store.get_run("copy") is None


def test_a_fork_outlives_its_source(source: Worker) -> None:
    store = source.store
    run = store.fork_run("source", fork(), None)
    store.delete_run("source")

    assert len(store.list_steps("copy")) == 3
    assert store.fork_run("source", fork(), None) == run


def test_an_unknown_step_is_refused_with_those_there_are_and_nothing_is_made(source: Worker) -> None:
    with pytest.raises(StoreRefused, match=r"no step x; it has a, b\[1\], b\[2\], c, d"):
        source.store.fork_run("source", fork(), StepRef("x"))

    assert source.store.get_run("copy") is None


def test_a_run_is_not_forked_into_itself(source: Worker) -> None:
    with pytest.raises(StoreRefused, match="into itself"):
        source.store.fork_run("source", fork("source"), None)
