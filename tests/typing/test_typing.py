"""What a type checker makes of jobs: the results that it infers, and the mistakes that it finds."""

import re
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("file", sorted(path.name for path in HERE.glob("right*.py")))
def test_right_code_is_accepted_and_its_results_are_inferred(file: str) -> None:
    assert errors(file) == {}


@pytest.mark.parametrize("file", sorted(path.name for path in HERE.glob("wrong*.py")))
def test_each_mistake_is_found_and_nothing_else(file: str) -> None:
    lines = (HERE / file).read_text().splitlines()
    marked = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert marked
    assert set(errors(file)) == marked
