"""The payload that all steps share, saved in the same commit as a step's end or cursor."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from resumable.state import limits
from resumable.state.outcome import AlreadyDone, AlreadyStored, Fenced, Rewound, Stored, StoreRefused
from resumable.state.record import Encoded, Run, Write, WriteRef
from tests.contract.runs import Worker, encoded, names, resumed, run_of


def run_after(worker: Worker) -> Run:
    return run_of(worker.store, worker.fence.run_id)


def test_a_finished_step_takes_the_payload_with_it(worker: Worker) -> None:
    before = run_after(worker)
    assert worker.finish("load", 1, payload=encoded({"customer": 7})) == Stored()
    after = run_after(worker)
    assert after.payload == encoded({"customer": 7})
    assert after.version > before.version
    begun = resumed(worker).begun
    assert begun is not None
    assert (begun.run.payload, names(begun.steps)) == (encoded({"customer": 7}), ["load"])


def test_a_cursor_takes_the_payload_with_it(worker: Worker) -> None:
    assert worker.save("import", 41, payload=encoded({"rows": 41})) == Stored()
    assert run_after(worker).payload == encoded({"rows": 41})
    assert worker.store.list_cursors(worker.fence.run_id)[0].value == encoded(41)


def test_a_failure_takes_the_payload_with_it(worker: Worker) -> None:
    assert worker.finish("load", error="no", payload=encoded({"tried": True})) == Stored()
    assert run_after(worker).payload == encoded({"tried": True})


def test_a_write_without_a_payload_leaves_it_as_it_is(worker: Worker) -> None:
    worker.finish("load", payload=encoded(1))
    before = run_after(worker)
    worker.finish("more")
    worker.save("import", 1)
    assert run_after(worker) == before


def test_the_payload_of_a_later_write_stands_whatever_arrives_first(worker: Worker) -> None:
    early, late = worker.write(), worker.write()
    assert worker.finish("second", payload=encoded("late"), write=late) == Stored()
    assert worker.finish("first", payload=encoded("early"), write=early) == Stored()
    assert run_after(worker).payload == encoded("late")
    assert names(worker.store.list_steps(worker.fence.run_id)) == ["first", "second"]


def test_the_payload_alone_does_not_go_back_either(worker: Worker) -> None:
    early = worker.write()
    worker.finish("load", payload=encoded("late"))
    assert worker.store.save_payload(worker.fence, early, encoded("early")) == Stored()
    assert run_after(worker).payload == encoded("late")


def test_the_next_attempt_numbers_its_payloads_anew(worker: Worker) -> None:
    for number in range(5):
        worker.finish(f"step-{number}", payload=encoded(number))
    second = resumed(worker)
    assert second.finish("next", payload=encoded("second")) == Stored()
    assert run_after(worker).payload == encoded("second")


def test_a_write_that_is_refused_leaves_the_payload(worker: Worker) -> None:
    worker.finish("load", payload=encoded("good"))
    gone = WriteRef("step", "load", "gone", "c" * 32, 3)
    assert worker.finish("load", payload=encoded("bad")) == AlreadyDone("load", "")
    assert isinstance(worker.finish("next", payload=encoded("bad"), write=Write("d" * 32, 99, gone)), Rewound)
    resumed(worker)
    assert isinstance(worker.finish("late", payload=encoded("bad")), Fenced)
    assert run_after(worker).payload == encoded("good")


def test_a_write_sent_again_does_not_store_its_payload_again(worker: Worker) -> None:
    write = worker.write()
    worker.finish("load", payload=encoded(1), write=write)
    worker.finish("more", payload=encoded(2))
    assert worker.finish("load", payload=encoded(1), write=write) == AlreadyStored()
    assert run_after(worker).payload == encoded(2)


def test_two_threads_of_one_run_that_save_steps_with_payloads_lose_none(worker: Worker) -> None:
    """As `map` does. Each locks the run's row first: shared locks that both raise would be a deadlock."""
    count = 30
    writes = [(f"thumb-{number}", Write(f"{number:032x}", number)) for number in range(1, 2 * count + 1)]
    together = threading.Barrier(2)

    def finish(start: int) -> list[object]:
        together.wait(20)
        return [
            worker.finish(name, write=write, payload=encoded(write.sequence) if write.sequence % 3 else None)
            for name, write in writes[start::2]
        ]

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(finish, range(2))) == [[Stored()] * count] * 2
    assert len(worker.store.list_steps(worker.fence.run_id)) == 2 * count
    assert run_after(worker).payload == encoded(2 * count - 1)  # the last whose number three does not divide


def test_a_payload_that_is_too_large_is_refused_and_names_the_step(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LARGEST_VALUE", 1000)
    with pytest.raises(StoreRefused, match=r"payload.*step load has 1,001 bytes"):
        worker.finish("load", payload=Encoded("raw", b"x" * 1001))
    assert worker.store.list_steps(worker.fence.run_id) == ()
