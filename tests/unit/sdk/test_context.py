import queue
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resumable import Fenced, Interrupted, InvalidStep, UnreadableResult, UnstorableResult
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.worker import begin, context, mint


def saved(store: SqlStore) -> Any:
    """What a successor would find."""
    return context(begin(store)).cursor


def test_a_saved_cursor_is_what_the_next_attempt_gets(store: SqlStore) -> None:
    step = context(begin(store))
    assert step.cursor is None
    step.save(7)
    assert step.cursor == 7
    assert saved(store) == 7


def test_a_cursor_has_the_type_that_the_annotation_says(store: SqlStore) -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    context(begin(store), cursor=tuple[int, datetime]).save((1, when))
    assert context(begin(store), cursor=tuple[int, datetime]).cursor == (1, when)
    with pytest.raises(UnreadableResult, match="step 's': the cursor"):
        context(begin(store), cursor=int)


def test_a_cursor_of_another_type_is_refused_when_it_is_saved(store: SqlStore) -> None:
    with pytest.raises(UnstorableResult, match="step 's': the cursor is annotated int, but a str"):
        context(begin(store)).save("seven")


def test_save_never_raises_an_interruption(store: SqlStore) -> None:
    attempt = begin(store)
    attempt.interruption.ask("SIGTERM")
    step = context(attempt)
    step.save(1)
    assert step.stopping
    with pytest.raises(Interrupted):
        step.stop_if_asked()


def test_a_save_by_an_attempt_that_has_a_successor_is_refused(store: SqlStore) -> None:
    zombie = context(begin(store))
    zombie.save(1)
    begin(store)
    with pytest.raises(Fenced, match="attempt 1 of run r may not write any more"):
        zombie.save(2)
    assert saved(store) == 1


def test_a_second_process_of_one_attempt_is_fenced_at_begin(store: SqlStore) -> None:
    fence = mint(store)
    begin(store, fence)
    with pytest.raises(Fenced):
        begin(store, fence)


def test_iterate_saves_by_turns_and_at_the_end(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    step = context(begin(store))
    saves: list[tuple[int, int]] = []
    batch: list[int] = []
    turns: list[int] = []

    def flush() -> None:
        saves.append((batch[0], batch[-1]))
        batch.clear()

    for n in step.iterate(range(7), cursor=lambda n: n + 1, every=3, flush=flush):
        batch.append(n)
        turns.append(step.cursor or 0)
    assert saves == [(0, 2), (3, 5), (6, 6)]
    assert turns == [0, 0, 0, 3, 3, 3, 6]
    assert step.cursor == 7


def test_iterate_over_nothing_saves_nothing(store: SqlStore) -> None:
    step = context(begin(store))
    flushed: list[None] = []
    assert list(step.iterate([], cursor=lambda n: n, flush=lambda: flushed.append(None))) == []
    assert (step.cursor, flushed) == (None, [])


def test_iterate_flushes_saves_and_leaves_at_the_head_of_a_turn(store: SqlStore) -> None:
    attempt = begin(store)
    step = context(attempt)
    batch: list[int] = []
    written: list[int] = []

    def flush() -> None:
        written.extend(batch)
        batch.clear()

    def loop() -> None:
        for n in step.iterate(range(100), cursor=lambda n: n + 1, every=(50, "1h"), flush=flush):
            batch.append(n)
            if n == 4:
                attempt.interruption.ask("SIGTERM")

    with pytest.raises(Interrupted):
        loop()
    assert written == [0, 1, 2, 3, 4]
    assert saved(store) == 5


def test_iterate_goes_on_where_it_was_and_misses_nothing(store: SqlStore) -> None:
    written: list[int] = []
    for stop_at in (3, 8, None):
        attempt = begin(store)
        step = context(attempt)
        try:
            for n in step.iterate(range(step.cursor or 0, 12), cursor=lambda n: n + 1):
                written.append(n)
                if n == stop_at:
                    attempt.interruption.ask("SIGTERM")
        except Interrupted:
            assert stop_at is not None
    assert written == list(range(12))


def test_iterate_does_not_ask_for_the_next_item_when_it_has_to_leave(store: SqlStore) -> None:
    attempt = begin(store)
    attempt.interruption.ask("SIGTERM")

    def source() -> Any:
        raise AssertionError("asked for an item")
        yield

    with pytest.raises(Interrupted):
        next(context(attempt).iterate(source(), cursor=lambda n: n))


def test_iterate_within_a_shield_goes_to_the_end(store: SqlStore) -> None:
    attempt = begin(store)
    attempt.interruption.ask("SIGTERM")
    step = context(attempt)
    with step.shield("20s"):
        assert len(list(step.iterate(range(5), cursor=lambda n: n))) == 5
    with pytest.raises(Interrupted):
        step.stop_if_asked()


def test_a_failing_flush_saves_nothing(store: SqlStore) -> None:
    def flush() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        list(context(begin(store)).iterate(range(3), cursor=lambda n: n, every=2, flush=flush))
    assert saved(store) is None


def test_due_counts_from_the_last_save(store: SqlStore) -> None:
    step = context(begin(store))
    assert step.due("0s")
    assert not step.due("1h")
    step._saved_at -= 7200
    assert step.due("1h")
    step.save(1)
    assert not step.due("1h")


def test_progress_is_stored_with_the_next_save(store: SqlStore) -> None:
    attempt = begin(store)
    step = context(attempt)
    step.progress(3, 10, "batch 3")
    step.save(3)
    (row,) = store.list_steps("r")
    assert (row.progress_current, row.progress_total, row.progress_message) == (3, 10, "batch 3")


def test_the_idempotency_key_is_the_same_in_each_attempt_and_in_no_other_step(store: SqlStore) -> None:
    first, second = context(begin(store)), context(begin(store))
    assert first.idempotency_key == second.idempotency_key
    assert context(begin(store), name="t").idempotency_key != first.idempotency_key


def test_a_save_from_a_forked_process_is_refused(store: SqlStore) -> None:
    attempt = begin(store)
    step = context(attempt)
    said: queue.Queue[str] = queue.Queue()

    def save() -> None:
        with pytest.raises(InvalidStep, match="not in a fork of it"):
            step.save(1)
        said.put("refused")

    with pytest.MonkeyPatch.context() as patched, attempt._turns.alone:  # who writes at the fork writes for ever there
        patched.setattr("os.getpid", lambda: 1)
        threading.Thread(target=save, daemon=True).start()
        assert said.get(timeout=10) == "refused"


def test_a_checkpoint_without_a_cursor_leaves_the_cursor_as_it_is(store: SqlStore, tmp_path: Path) -> None:
    step = context(begin(store), tmp_path)
    with step.checkpoint():
        pass
    assert context(begin(store), tmp_path).cursor is None
    step = context(begin(store), tmp_path)
    step.save(4)
    with step.checkpoint():
        pass
    assert context(begin(store), tmp_path).cursor == 4
