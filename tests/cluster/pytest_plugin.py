"""Fixtures for tests on the cluster; `pytest_plugins = ["tests.cluster.pytest_plugin"]` in the top conftest loads them.

    def test_a_drained_job_goes_on(cluster: Cluster, namespace: str) -> None: ...

The cluster is started, and the operator installed from the checkout, once a session. It is kept afterwards:
`make cluster-down` ends it. Two test sessions at once take turns, since both would drain the same nodes.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.cluster import diagnostics, lock
from tests.cluster.cluster import Cluster
from tests.cluster.install import install

_OUTCOME = pytest.StashKey[dict[str, pytest.TestReport]]()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A healthy cluster with the operator of this checkout in it."""
    with lock.held(lock.TESTING):
        running = Cluster.up()
        install()
        yield running


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test; when the test failed, what happened in it is added to the report."""
    with cluster.namespace(_prefix(request.node.name)) as name:
        yield name
        if _failed(request.node):
            _report(request.node, name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers each phase's outcome where fixtures find it."""
    report = yield
    item.stash.setdefault(_OUTCOME, {})[report.when] = report
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The time limit of such a test is its own: starting the cluster, a quarter of an hour at worst, is not counted."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            limit = float(item.config.getini("timeout") or 300)
            item.add_marker(pytest.mark.timeout(limit, func_only=True))


def _failed(item: pytest.Item) -> bool:
    return any(report.failed for report in item.stash.get(_OUTCOME, {}).values())


def _report(item: pytest.Item, namespace: str) -> None:
    folder = Path(item.config.rootpath) / ".cache" / "cluster-reports" / re.sub(r"[^\w.-]+", "-", item.name)
    report = diagnostics.collect(namespace, folder)
    section = f"{report.text}\n\nAll of it, with the logs of the cluster's daemons: {report.folder}"
    # The report of the failed phase is already made: add to it what the next one's sections would show too late.
    for phase in item.stash[_OUTCOME].values():
        if phase.failed:
            phase.sections.append((f"cluster, namespace {namespace}", section))


def _prefix(test: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", test.lower().removeprefix("test_"))
    return words[:40].strip("-") or "test"
