"""What readers get."""

from datetime import UTC, datetime, timedelta

from resumable.state.record import EndKind, RunStatus
from resumable.state.store import NewRun, Store
from tests.contract.runs import Worker, ended, minted, names, new_run, resumed


def test_the_store_says_which_one_it_is_and_how_durable(store: Store) -> None:
    info, again = store.info(), store.info()
    assert (again.uuid, again.durability) == (info.uuid, info.durability)
    assert len(info.uuid) == 36
    assert info.schema_version >= "0001"
    assert info.durability
    assert info.now <= again.now
    assert abs(info.now - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_view_counts_all_steps_and_shows_the_ones_worth_seeing(worker: Worker) -> None:
    for number in range(30):
        worker.finish(f"done-{number}", ordinal=number)
    worker.finish("broken", error="no", ordinal=1)
    worker.show("slow", ordinal=2)
    view = worker.store.view(worker.fence.run_id, steps=5)
    assert view is not None
    assert (view.steps_done, view.steps_total) == (30, 32)
    assert names(view.steps) == ["broken", "slow", "done-27", "done-28", "done-29"]
    assert all(step.result is None for step in view.steps)


def test_many_failed_steps_do_not_crowd_out_the_running_ones(worker: Worker) -> None:
    for number in range(20):
        worker.finish(f"broken-{number}", error="no", ordinal=number)
    worker.show("slow", ordinal=20)
    view = worker.store.view(worker.fence.run_id, steps=6)
    assert view is not None
    assert names(view.steps) == ["broken-0", "broken-1", "slow"]


def test_a_view_tells_the_last_save_of_all_attempts(worker: Worker) -> None:
    assert _last_saved(worker) is None
    worker.finish("load")
    first = _last_saved(worker)
    assert first is not None
    second = resumed(worker)
    second.save("import", 1)
    assert (_last_saved(worker) or first) >= first
    view = worker.store.view(worker.fence.run_id)
    assert view is not None
    assert view.now >= view.run.updated
    assert [attempt.number for attempt in view.attempts] == [1, 2]


def _last_saved(worker: Worker) -> datetime | None:
    view = worker.store.view(worker.fence.run_id)
    assert view is not None
    return view.last_saved


def test_runs_are_listed_by_namespace_the_newest_first(store: Store) -> None:
    for number, namespace in enumerate(["a", "b", "a"]):
        store.create_run(NewRun(id=f"uid-{number}", namespace=namespace, name=f"job-{number}"))
    assert {run.id for run in store.list_runs()} == {"uid-0", "uid-1", "uid-2"}
    assert {run.id for run in store.list_runs("a")} == {"uid-0", "uid-2"}
    assert store.list_runs("c") == ()
    assert len(store.list_runs(limit=2)) == 2
    created = [run.created for run in store.list_runs()]
    assert created == sorted(created, reverse=True)


def test_steps_are_listed_in_the_order_in_which_they_appeared(worker: Worker) -> None:
    for ordinal, name in ((2, "c"), (0, "z"), (1, "a")):
        worker.finish(name, ordinal=ordinal)
    assert names(worker.store.list_steps(worker.fence.run_id)) == ["z", "a", "c"]


def test_every_transition_has_an_event(worker: Worker) -> None:
    worker.finish("load")
    worker.store.request_stop(worker.fence.run_id, 1, "RolledOut")
    second = resumed(worker)
    second.end(RunStatus.SUCCEEDED)
    ended(second, EndKind.COMPLETION, RunStatus.SUCCEEDED)
    events = worker.store.list_events(worker.fence.run_id)
    assert [event.type for event in events] == [
        "Created",
        "Minted",
        "Begun",
        "StopRequested",
        "AttemptEnded",
        "Minted",
        "Begun",
        "Succeeded",
        "AttemptEnded",
    ]
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))
    assert worker.store.list_events(worker.fence.run_id, after=sequences[3]) == events[4:]
    assert worker.store.list_events(worker.fence.run_id, limit=2) == events[:2]


def test_a_run_keeps_at_most_a_thousand_events(store: Store) -> None:
    run = minted(store, new_run(store))
    for number in range(1010):
        store.request_stop(run.id, 1, f"Reason{number}")
    events = store.list_events(run.id, limit=5000)
    assert len(events) == 1000
    assert events[-1].message == "Reason1009"
