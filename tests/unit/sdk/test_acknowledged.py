"""A store that went back in time, and lost one of two writes that it had acknowledged at the same time."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from resumable import Job, Rewound, job
from resumable.sdk.acknowledged import Acknowledged
from resumable.state.outcome import WriteOutcome
from resumable.state.record import Fence, RunStatus, Write, WriteRef
from resumable.state.sql.store import SqlStore
from resumable.state.store import FinishedStep

PATIENCE = 20.0


def ref(name: str) -> WriteRef:
    return WriteRef("step", name, "", name, 1)


def test_of_writes_that_follow_each_other_the_last_is_named() -> None:
    acknowledged = Acknowledged()
    assert acknowledged.to_name() is None
    for name in "abc":
        acknowledged.add(ref(name), named=acknowledged.to_name())
        assert len(acknowledged) == 1
        assert acknowledged.to_name() == ref(name)


def test_of_writes_under_way_at_the_same_time_each_is_named_in_its_turn() -> None:
    acknowledged = Acknowledged()
    acknowledged.add(ref("first"), named=None)
    named = [acknowledged.to_name() for _ in range(3)]
    for name, each in zip("abc", named, strict=True):
        acknowledged.add(ref(name), named=each)
    assert len(acknowledged) == 3
    seen = set()
    while len(acknowledged) > 1:
        each = acknowledged.to_name()
        seen.add(each)
        acknowledged.add(None, named=each)
    assert len(seen) == 2
    assert {*seen, acknowledged.to_name()} == {ref("a"), ref("b"), ref("c")}


def test_what_is_forgotten_is_not_named() -> None:
    acknowledged = Acknowledged()
    acknowledged.add(ref("a"), named=None)
    acknowledged.forget("a", "")
    assert acknowledged.to_name() is None


class Forgetful(SqlStore):
    """Item 0 is acknowledged after item 1, and the store can lose a step."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.both, self.other_done = threading.Barrier(2), threading.Event()

    def finish_step(self, fence: Fence, write: Write, step: FinishedStep) -> WriteOutcome:
        if step.name != "work":
            return super().finish_step(fence, write, step)
        self.both.wait(PATIENCE)
        if step.key == "0":
            assert self.other_done.wait(PATIENCE)
        outcome = super().finish_step(fence, write, step)
        if step.key == "1":
            self.other_done.set()
        return outcome

    def lose(self, key: str) -> None:
        with self.database.writing() as connection:
            connection.execute(text("DELETE FROM step WHERE name = 'work' AND key = :key"), {"key": key})


@pytest.mark.parametrize("lost", ["0", "1"])
@pytest.mark.parametrize("more_steps", [0, 1, 3])
def test_whichever_of_two_is_lost_is_noticed_before_the_run_ends(tmp_path: Path, lost: str, more_steps: int) -> None:
    store = Forgetful(f"sqlite:///{tmp_path}/state.db")
    lose: Callable[[], None] = lambda: store.lose(lost)  # noqa: E731

    @job("j")
    def mapped(j: Job) -> None:
        j.map("work", abs, [0, 1], concurrency=2)
        lose()
        for n in range(more_steps):
            j.options(key=n).step("more", int)

    with pytest.raises(Rewound, match=rf"the finished step work\[{lost}\]"):
        mapped.run(store=store)
    run = store.get_run("j")
    assert run is not None
    assert (run.status, run.reason) == (RunStatus.PAUSED, "StateRewound")
    store.close()
