"""A worker that is killed in the middle of a checkpoint, at each of its operations in turn."""

import json

from tests.sdk.process import Workplace


def test_killed_at_every_operation_it_finds_the_old_checkpoint_or_the_new_one_whole(place: Workplace) -> None:
    process = place.start("checkpoint_faults", str(place.folder))
    assert process.exit_code(seconds=120) == 0, process.log
    kills = [json.loads(line) for line in process.output.splitlines()]
    assert {kill["killed"] for kill in kills} >= {
        "before fsync",
        "before mkdir",
        "before unlink",
        "before save_cursor",
        "after save_cursor",
        "before finish_step",
        "after finish_step",
    }
    finished = [kill["killed"] for kill in kills].index("after finish_step")
    assert all(kill["found"] is None for kill in kills[finished:]), "a step that is done is not run again"
    cursors = []
    for kill in kills[:finished]:
        cursor, files = kill["found"]["cursor"], kill["found"]["files"]
        assert files == ([f"epoch {cursor} " * 3] * 2 if cursor else []), kill
        cursors.append(cursor or 0)
        assert len(kill["left"]) <= 2, "what was left half made was collected"
    assert cursors == sorted(cursors), "a later kill never finds less"
    assert set(cursors) == {0, 1, 2, 3}
