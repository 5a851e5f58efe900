from pathlib import Path

import pytest

from resumable import CheckpointDamaged, CheckpointsNotConfigured, Fenced, InvalidStep, StepContext
from resumable.sdk.checkpoint import MANIFEST, StepCheckpoints, safe_name
from resumable.state.sql.store import SqlStore
from tests.unit.sdk.worker import begin, context


def save(step: StepContext[int], cursor: int, text: str) -> None:
    with step.checkpoint(cursor) as folder:
        (folder / "weights").mkdir()
        (folder / "weights" / "model.txt").write_text(text)


def restored(store: SqlStore, root: Path) -> tuple[int | None, str]:
    """What a successor finds."""
    step = context(begin(store), root)
    assert step.restored is not None
    return step.cursor, (step.restored / "weights" / "model.txt").read_text()


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "r" / "s").iterdir())


def test_the_next_attempt_finds_the_files_and_the_cursor_together(store: SqlStore, tmp_path: Path) -> None:
    step = context(begin(store), tmp_path)
    assert step.restored is None
    save(step, 5, "five")
    assert restored(store, tmp_path) == (5, "five")


def test_a_block_that_raises_publishes_nothing_and_leaves_no_folder(store: SqlStore, tmp_path: Path) -> None:
    step = context(begin(store), tmp_path)
    save(step, 5, "five")

    def half() -> None:
        with step.checkpoint(6) as folder:
            (folder / "half").write_text("h")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        half()
    assert restored(store, tmp_path) == (5, "five")
    assert folders(tmp_path) == ["1-1"]


def test_a_zombies_checkpoint_is_never_published(store: SqlStore, tmp_path: Path) -> None:
    zombie = context(begin(store), tmp_path)
    save(zombie, 5, "five")
    successor = context(begin(store), tmp_path)
    with pytest.raises(Fenced):
        save(zombie, 6, "six")
    assert successor.restored is not None
    assert restored(store, tmp_path) == (5, "five")


def test_a_save_keeps_the_checkpoint(store: SqlStore, tmp_path: Path) -> None:
    step = context(begin(store), tmp_path)
    save(step, 5, "five")
    step.save(6)
    assert restored(store, tmp_path) == (6, "five")


def test_the_last_two_are_kept_and_what_earlier_attempts_left_half_made_is_collected(
    store: SqlStore, tmp_path: Path
) -> None:
    step = context(begin(store), tmp_path)
    save(step, 1, "one")
    (tmp_path / "r" / "s" / "1-77").mkdir()  # killed in the middle
    step = context(begin(store), tmp_path)
    save(step, 2, "two")
    assert folders(tmp_path) == ["1-1", "2-3"]
    save(step, 3, "three")
    assert folders(tmp_path) == ["2-3", "2-5"]
    assert restored(store, tmp_path) == (3, "three")


def test_what_a_later_attempt_makes_is_never_collected(store: SqlStore, tmp_path: Path) -> None:
    step = context(begin(store), tmp_path)
    (tmp_path / "r" / "s" / "2-1").mkdir(parents=True)
    save(step, 1, "one")
    save(step, 2, "two")
    save(step, 3, "three")
    assert "2-1" in folders(tmp_path)


def test_a_changed_file_is_noticed_and_named(store: SqlStore, tmp_path: Path) -> None:
    save(context(begin(store), tmp_path), 5, "five")
    (tmp_path / "r" / "s" / "1-1" / "weights" / "model.txt").write_text("FIVE")
    with pytest.raises(
        CheckpointDamaged, match=r"step 's': weights/model\.txt of its checkpoint .* is not what was saved"
    ):
        restored(store, tmp_path)


def test_a_missing_file_is_noticed_and_named(store: SqlStore, tmp_path: Path) -> None:
    save(context(begin(store), tmp_path), 5, "five")
    (tmp_path / "r" / "s" / "1-1" / "weights" / "model.txt").unlink()
    with pytest.raises(CheckpointDamaged, match=r"weights/model\.txt .* can't be read"):
        restored(store, tmp_path)


def test_a_damaged_manifest_is_noticed(store: SqlStore, tmp_path: Path) -> None:
    save(context(begin(store), tmp_path), 5, "five")
    (tmp_path / "r" / "s" / "1-1" / MANIFEST).write_text("{")
    with pytest.raises(CheckpointDamaged, match="the manifest of its checkpoint"):
        restored(store, tmp_path)


def test_another_volume_is_suspected_when_the_folder_is_missing(store: SqlStore, tmp_path: Path) -> None:
    save(context(begin(store), tmp_path), 5, "five")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(CheckpointDamaged, match="is the volume the one that it was saved to"):
        restored(store, elsewhere)


def test_the_volume_may_be_mounted_elsewhere(store: SqlStore, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    save(context(begin(store), tmp_path / "a"), 5, "five")
    (tmp_path / "a").rename(tmp_path / "b")
    assert restored(store, tmp_path / "b") == (5, "five")


def test_a_link_is_refused_because_its_target_is_not_in_the_checkpoint(store: SqlStore, tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidStep, match="is not a plain file"),
        context(begin(store), tmp_path).checkpoint(1) as folder,
    ):
        (folder / "link").symlink_to("/etc/hostname")


def test_without_a_place_for_files_it_says_what_to_configure(store: SqlStore) -> None:
    with pytest.raises(CheckpointsNotConfigured, match=r"spec\.checkpoints"), context(begin(store)).checkpoint(1):
        pass


def test_checkpoint_never_raises_an_interruption(store: SqlStore, tmp_path: Path) -> None:
    attempt = begin(store)
    attempt.interruption.ask("SIGTERM")
    save(context(attempt, tmp_path), 1, "one")
    assert restored(store, tmp_path) == (1, "one")


def test_a_volume_that_is_not_mounted_is_noticed_before_anything_is_written(store: SqlStore, tmp_path: Path) -> None:
    step = context(begin(store), tmp_path / "not-mounted")
    with pytest.raises(CheckpointsNotConfigured, match="not-mounted is not there; is its volume mounted"):
        save(step, 1, "one")


@pytest.mark.parametrize(
    ("one", "other"), [("a/b", "a_b"), ("..", "%2E."), ("a b", "a+b"), ("x" * 300, "x" * 301), ("ä", "a"), ("A@b", "A")]
)
def test_names_become_different_folders_inside_the_root(one: str, other: str) -> None:
    assert safe_name(one) != safe_name(other)
    for name in (safe_name(one), safe_name(other)):
        assert "/" not in name
        assert not name.startswith(".")
        assert len(name) < 255


def test_a_key_is_a_folder_of_its_own(tmp_path: Path) -> None:
    with_key = StepCheckpoints(tmp_path, "r", "s", "k").create(1, 1)
    without = StepCheckpoints(tmp_path, "r", "s@k", "").create(1, 1)
    assert with_key.relative_to(tmp_path).as_posix() == "r/s@k/1-1"
    assert without != with_key
