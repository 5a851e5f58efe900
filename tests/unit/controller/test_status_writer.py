"""A status patch holds what changed, and nothing else."""

from typing import Any

import pytest

from resumable.controller.status_writer import status_patch


@pytest.mark.parametrize(
    ("current", "wanted", "patch"),
    [
        pytest.param({"phase": "Running"}, {"phase": "Running"}, {}, id="the same"),
        pytest.param({}, {"phase": "Pending", "reason": None}, {"phase": "Pending"}, id="new"),
        pytest.param({"reason": "x"}, {"reason": None}, {"reason": None}, id="gone"),
        pytest.param({"other": 1}, {"phase": "A"}, {"phase": "A"}, id="what is not ours stays"),
        pytest.param(
            {"progress": {"currentStep": "a", "percent": 5}},
            {"progress": {"currentStep": "b"}},
            {"progress": {"currentStep": "b", "percent": None}},
            id="inside a field that is ours, what is left out goes",
        ),
        pytest.param({"steps": [{"name": "a"}]}, {"steps": [{"name": "a"}]}, {}, id="equal lists"),
        pytest.param({"steps": [1, 2]}, {"steps": [1]}, {"steps": [1]}, id="lists are whole"),
    ],
)
def test_only_the_difference_is_written(current: dict[str, Any], wanted: dict[str, Any], patch: dict[str, Any]) -> None:
    assert status_patch(current, wanted) == patch


def test_the_attempt_never_goes_back() -> None:
    assert status_patch({"attempt": 5}, {"attempt": 4, "phase": "Paused"}) == {"phase": "Paused"}
    assert status_patch({"attempt": 5}, {"attempt": 6}) == {"attempt": 6}
    assert status_patch({"attempt": 5}, {"attempt": None}) == {}
