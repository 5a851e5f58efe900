"""The chart and the rest of the project say the same."""

from pathlib import Path

import yaml

from resumable.resource import names

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "resumable-jobs"


def test_the_chart_s_definitions_are_the_project_s() -> None:
    ours = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    charts = {path.name: path.read_text() for path in (CHART / "crds").glob("*.yaml")}
    assert ours, "crds/ holds no definition"
    assert charts == ours, "copy crds/*.yaml to charts/resumable-jobs/crds/"


def test_the_controller_s_token_has_the_audience_that_the_state_service_asks_for() -> None:
    assert f"audience: {names.TOKEN_AUDIENCE}" in (CHART / "templates" / "controller.yaml").read_text()


def test_the_chart_installs_the_version_that_it_was_released_with() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in project
