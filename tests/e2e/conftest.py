"""Fixtures beside the cluster's own (`tests.cluster.pytest_plugin`): the operator, and the tests' job scripts."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.e2e.installed import Installed
from tests.e2e.manifests import job_scripts


@pytest.fixture
def installed(cluster: Cluster) -> Installed:
    """The operator, Ready, whatever the test before did to it."""
    operator = Installed(cluster)
    operator.wait_ready()
    return operator


@pytest.fixture
def namespace(cluster: Cluster, installed: Installed, namespace: str) -> str:
    """A `restricted` namespace with the tests' job scripts in it."""
    cluster.apply(job_scripts(), namespace=namespace)
    return namespace
