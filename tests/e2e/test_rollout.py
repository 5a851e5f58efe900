"""A changed template while an attempt runs: it is asked to save, the next one starts with the new template."""

from __future__ import annotations

import copy

from tests.cluster import Cluster
from tests.e2e.manifests import IMAGE, Manifest
from tests.e2e.pod_watch import PodWatch
from tests.e2e.rows_job import ROWS, rows_manifest, start_rows


def test_a_new_image_takes_over_in_the_middle_of_a_step(cluster: Cluster, namespace: str) -> None:
    new_image = f"{IMAGE}-next"
    cluster.tag_image(IMAGE, new_image)
    with PodWatch(cluster, namespace) as watch:
        job = start_rows(cluster, namespace, "rollout", env={"RELEASE": "old"})
        job.log.wait_for_rows(5, attempt=1)
        job.apply(with_image(rows_manifest("rollout", env={"RELEASE": "new"}), new_image))
        assert watch.wait_terminal(job.pod_name(1)).exit_code == 75
        job.log.wait_for_rows(1, attempt=2)
        job.log.hurry()
        job.wait_complete()
        assert watch.wait_created(job.pod_name(2)).pod["spec"]["containers"][0]["image"] == new_image

    job.log.check_each_row_once(ROWS)
    releases = {effect.attempt: effect.details["release"] for effect in job.log.effects()}
    assert releases == {1: "old", 2: "new"}
    assert job.causes()[0] == "Rollout"
    assert job.counters["failures"] == 0
    assert job.counters["interruptions"] == 0, "somebody asked for it: that is no interruption"


def test_with_on_next_attempt_a_new_template_waits_for_the_next_attempt(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "patient", env={"RELEASE": "old"}, updateStrategy="OnNextAttempt")
    job.log.wait_for_rows(5, attempt=1)
    job.apply(rows_manifest("patient", env={"RELEASE": "new"}, updateStrategy="OnNextAttempt"))
    so_far = len(job.log.rows())
    job.log.wait_for_rows(so_far + 50, attempt=1)  # it was left alone
    job.delete_pod(1)
    job.log.wait_for_rows(1, attempt=2)
    job.log.hurry()
    job.wait_complete()

    job.log.check_each_row_once(ROWS)
    assert job.log.effects("report")[0].details["release"] == "new"


def with_image(manifest: Manifest, image: str) -> Manifest:
    """The manifest with another image for its worker."""
    changed = copy.deepcopy(manifest)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return changed
