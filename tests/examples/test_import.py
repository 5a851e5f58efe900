"""examples/import, killed at ten random moments, against an undisturbed run."""

import hashlib
import random
import sqlite3
from collections import Counter
from pathlib import Path

from tests.examples.killing import KILLS, SEED, Example

ROWS = {"airports.csv": 3376, "seattle-weather.csv": 1461, "stocks.csv": 560}


def test_killed_at_ten_random_moments_it_ends_with_the_same_database(tmp_path: Path) -> None:
    print(f"TEST_SEED={SEED}")
    undisturbed = Example("import/import_csv.py", tmp_path / "undisturbed")
    assert undisturbed.run()["rows"] == ROWS

    killed = Example("import/import_csv.py", tmp_path / "killed", seconds_per_row=0.0015)
    moments = random.Random(SEED)
    for _ in range(KILLS):
        killed.kill_at_a_random_moment(moments)
    assert killed.run()["rows"] == ROWS

    assert content(killed) == content(undisturbed)
    assert (killed.volume / "report.json").read_text() == (undisturbed.volume / "report.json").read_text()
    assert len(killed.effects("rows-written")) < 2 * len(undisturbed.effects("rows-written"))


def test_no_row_is_missing_in_the_effect_log_and_a_finished_file_is_not_begun_again(tmp_path: Path) -> None:
    print(f"TEST_SEED={SEED}")
    killed = Example("import/import_csv.py", tmp_path / "killed", seconds_per_row=0.001, batch_size=20)
    moments = random.Random(SEED + 1)
    for _ in range(KILLS // 2):
        killed.kill_at_a_random_moment(moments)
    killed.run()
    written: Counter[tuple[str, int]] = Counter()
    last = dict.fromkeys(ROWS, 0)
    for effect in killed.effects("rows-written"):
        assert effect["first"] <= last[effect["file"]] + 1, "a gap"
        last[effect["file"]] = effect["last"]
        written.update((effect["file"], row) for row in range(effect["first"], effect["last"] + 1))
    assert set(written) == {(file, row) for file, rows in ROWS.items() for row in range(1, rows + 1)}
    assert sum(written.values()) - len(written) <= 20 * KILLS // 2, "at most a batch again for each kill"


def content(example: Example) -> dict[str, str]:
    """A hash of each table of the database."""
    connection = sqlite3.connect(example.volume / "import.db")
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert sorted(tables) == ["airports", "stocks", "weather"]
        rows = {name: connection.execute(f"SELECT * FROM {name} ORDER BY file, row").fetchall() for name in tables}
        return {name: hashlib.sha256(repr(table).encode()).hexdigest() for name, table in rows.items()}
    finally:
        connection.close()
