"""Fixtures for tests on the cluster, and what happened on it in the report of a test that failed.

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

_FIXTURES = {"cluster", "bare_cluster"}


@pytest.fixture(scope="session")
def bare_cluster() -> Iterator[Cluster]:
    """A healthy cluster; whether the operator is in it is left open."""
    with lock.held(lock.TESTING):
        running = Cluster.up()
        yield running
        running.wait_for_deleted_namespaces()


@pytest.fixture(scope="session")
def cluster(bare_cluster: Cluster) -> Cluster:
    """A healthy cluster with the operator of this checkout in it."""
    install()
    return bare_cluster


@pytest.fixture
def namespace(bare_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test, with the `restricted` Pod Security level enforced; deleted afterwards."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))
    with bare_cluster.namespace(words[:40].strip("-") or "test") as name:
        yield name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds to a failed test's report what was to be seen on the cluster, while its namespace still exists."""
    report = yield
    if report.failed and report.when != "teardown" and _FIXTURES.intersection(getattr(item, "fixturenames", ())):
        namespace = getattr(item, "funcargs", {}).get("namespace", "default")
        folder = Path(item.config.rootpath) / ".cache" / "cluster-reports" / re.sub(r"[^\w.-]+", "-", item.name)
        found = diagnostics.collect(namespace, folder)
        report.sections.append((f"cluster, namespace {namespace}", f"{found.text}\n\nAll of it: {found.folder}"))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The time limit of such a test is its own: starting the cluster, a quarter of an hour at worst, is not counted."""
    for item in items:
        if _FIXTURES.intersection(getattr(item, "fixturenames", ())) and item.get_closest_marker("timeout") is None:
            limit = float(item.config.getini("timeout") or 300)
            item.add_marker(pytest.mark.timeout(limit, func_only=True))
