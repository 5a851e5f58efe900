"""Each call of the store × each fault. The judge is the effect log, outside the system."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.sdk.process import Workplace

UNDISTURBED = ["first", "turn 0", "turn 1", "turn 2", "last"]
EACH_CALL = {"begin", "finish_step", "save_cursor", "save_payload", "end_run"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    place = Workplace(tmp_path_factory.mktemp("crash-points"))
    try:
        process = place.start("crash_points", str(place.folder))
        assert process.exit_code(seconds=180) == 0, process.log
        return [json.loads(line) for line in process.output.splitlines()]
    finally:
        place.end()


def of(outcomes: list[dict[str, Any]], fault: str) -> list[dict[str, Any]]:
    chosen = [outcome for outcome in outcomes if outcome["fault"] == fault]
    assert {outcome["call"] for outcome in chosen} == EACH_CALL
    assert all(outcome["result"] == '"counted to 3, 2"' for outcome in chosen), chosen
    return chosen


@pytest.mark.parametrize("fault", ["killed before", "killed after"])
def test_killed_at_a_call_it_ends_as_an_undisturbed_run(outcomes: list[dict[str, Any]], fault: str) -> None:
    for outcome in of(outcomes, fault):
        assert outcome["codes"] == [-9, 0], outcome
        repeated = Counter(outcome["effects"]) - Counter(UNDISTURBED)
        assert set(outcome["effects"]) == set(UNDISTURBED), outcome
        assert repeated.total() <= 1, "only what was under way is done again"
        if fault == "killed after" and outcome["call"] != "save_payload":
            assert outcome["effects"] == UNDISTURBED, "what was stored is not done again"


def test_a_lost_reply_costs_nothing_but_time(outcomes: list[dict[str, Any]]) -> None:
    for outcome in of(outcomes, "reply lost"):
        assert outcome["codes"] == [0], outcome
        assert outcome["effects"] == UNDISTURBED, outcome


def test_sigterm_at_a_call_loses_nothing(outcomes: list[dict[str, Any]]) -> None:
    for outcome in of(outcomes, "SIGTERM"):
        assert outcome["codes"] in ([75, 0], [0]), outcome
        assert outcome["effects"] == UNDISTURBED, outcome
