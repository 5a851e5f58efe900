"""What a type checker makes of jobs: the results that it infers, and the mistakes that it finds."""

import re
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def errors(file: str) -> dict[int, str]:
    """Mypy's complaints by line."""
    report, problems, _ = api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary", str(HERE / file)]
    )
    assert problems == ""
    found: dict[int, str] = {}
    for line in report.splitlines():
        match = re.fullmatch(r".*?" + re.escape(file) + r":(\d+): error: (.*)", line)
        if match:
            found[int(match[1])] = match[2]
        else:
            assert ": note: " in line, line
    return found


def test_right_code_is_accepted_and_its_results_are_inferred() -> None:
    assert errors("right.py") == {}


def test_each_mistake_is_found_and_nothing_else() -> None:
    lines = (HERE / "wrong.py").read_text().splitlines()
    marked = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert set(errors("wrong.py")) == marked
