"""`kubectl drain` of a worker's node in the middle of a step, and of the operator's node with it."""

from __future__ import annotations

from tests.cluster import Cluster
from tests.e2e.installed import STATE, Installed, cordoned, drained, other_node
from tests.e2e.rows_job import ROWS, start_rows


def test_a_drained_worker_goes_on_from_its_cursor_on_the_other_node(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    node = installed.node_of(STATE)
    installed.gather_on(node)
    with cordoned(cluster, node):
        job = start_rows(cluster, namespace, "moved")
        job.log.wait_for_rows(5, attempt=1)
    left = job.node_of(1)
    assert left == other_node(cluster, node)
    with drained(cluster, left):
        job.log.wait_for_rows(1, attempt=2)
        assert job.node_of(2) == node
        job.log.hurry()
        job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.causes()[0] == "EvictionByEvictionAPI"
    assert job.counters["interruptions"] == 1
    assert job.counters["failures"] == 0


def test_a_worker_drained_together_with_the_whole_operator_loses_nothing(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    node = installed.node_of(STATE)
    installed.gather_on(node)
    with cordoned(cluster, other_node(cluster, node)):
        job = start_rows(cluster, namespace, "refugee")
        job.log.wait_for_rows(5, attempt=1)
    assert job.node_of(1) == node
    with drained(cluster, node):
        job.log.wait_for_rows(1, attempt=2)
        job.log.hurry()
        job.wait_complete()
        assert installed.node_of(STATE) == other_node(cluster, node)

    # The state service may have left before the worker could save: then what came after its last save is done again.
    job.log.check_no_row_missing(ROWS, repeated_at_most=10)
    assert job.counters["failures"] == 0
