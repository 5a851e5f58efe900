"""A bad manifest is refused at apply, or by a condition in the API server's own words; nothing is started or lost."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.cluster import Cluster, CommandFailed, wait_for
from tests.e2e.manifests import Manifest
from tests.e2e.resumable_job import ResumableJob
from tests.e2e.rows_job import ROWS, rows_manifest, start_rows


def pod_spec(manifest: Manifest) -> Manifest:
    """The pod's spec in a manifest."""
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def worker(manifest: Manifest) -> Manifest:
    """The worker's container in a manifest."""
    container: Manifest = pod_spec(manifest)["containers"][0]
    return container


REFUSED_AT_APPLY: dict[str, tuple[Callable[[Manifest], object], list[str]]] = {
    "unknown-field": (lambda m: m["spec"].update(backofLimit=3), ["backofLimit"]),
    "no-containers": (lambda m: pod_spec(m).update(containers=[]), ["containers"]),
    "no-template": (lambda m: m["spec"].pop("template"), ["spec.template"]),
    "long-name": (lambda m: m["metadata"].update(name="x" * 53), ["52"]),
    "negative-backoff-limit": (lambda m: m["spec"].update(backoffLimit=-1), ["spec.backoffLimit", "0"]),
    "negative-grace": (
        lambda m: pod_spec(m).update(terminationGracePeriodSeconds=-1),
        ["terminationGracePeriodSeconds", "0"],
    ),
    "restart-policy": (lambda m: pod_spec(m).update(restartPolicy="Always"), ["restartPolicy", "Never"]),
    "unknown-policy": (lambda m: m["spec"].update(podReplacementPolicy="Soon"), ["Terminated", "AfterFencing"]),
}


@pytest.mark.parametrize("case", REFUSED_AT_APPLY)
def test_the_api_server_refuses_it_at_apply(cluster: Cluster, namespace: str, case: str) -> None:
    spoil, words = REFUSED_AT_APPLY[case]
    manifest = rows_manifest(case)
    spoil(manifest)
    with pytest.raises(CommandFailed) as refusal:
        cluster.apply(manifest, namespace=namespace)
    for word in words:
        assert word in refusal.value.stderr


NOT_ACCEPTED: dict[str, tuple[Callable[[Manifest], object], list[str]]] = {
    "unknown-pod-field": (lambda m: pod_spec(m).update(nodeSelektor={"a": "b"}), ["nodeSelektor"]),
    "wrong-image-name": (lambda m: worker(m).update(image="  "), ["image"]),
    "forbidden-by-pod-security": (
        lambda m: worker(m)["securityContext"].update(allowPrivilegeEscalation=True),
        ['violates PodSecurity "restricted', "allowPrivilegeEscalation"],
    ),
}


@pytest.mark.parametrize("case", NOT_ACCEPTED)
def test_it_is_not_accepted_in_the_api_servers_own_words_and_starts_when_corrected(
    cluster: Cluster, namespace: str, case: str
) -> None:
    spoil, words = NOT_ACCEPTED[case]
    manifest = rows_manifest(case)
    good = copy.deepcopy(manifest)
    spoil(manifest)
    job = ResumableJob.start(cluster, namespace, manifest)
    job.wait_condition("Accepted", "False")
    for word in words:
        assert word in job.condition("Accepted")["message"]
    assert job.pods() == []
    assert any(word in event["message"] for event in job.events() for word in words)

    job.log.hurry()
    job.apply(good)
    job.wait_complete()
    assert job.condition("Accepted")["status"] == "True"
    job.log.check_each_row_once(ROWS)


def test_a_bad_template_over_a_running_job_stops_nothing(cluster: Cluster, namespace: str) -> None:
    job = start_rows(cluster, namespace, "steadfast")
    job.log.wait_for_rows(5, attempt=1)
    bad = rows_manifest("steadfast")
    worker(bad)["securityContext"]["allowPrivilegeEscalation"] = True
    job.apply(bad)
    job.wait_condition("Accepted", "False")
    job.log.wait_for_rows(len(job.log.rows()) + 20, attempt=1)

    job.apply(rows_manifest("steadfast"))
    job.wait_condition("Accepted", "True")
    job.log.hurry()
    job.wait_complete()
    job.log.check_each_row_once(ROWS)
    assert job.log.attempts() == [1], "the attempt that ran with the good template was disturbed"


def test_input_that_does_not_fit_the_jobs_parameters_fails_at_once_without_retries(
    cluster: Cluster, namespace: str
) -> None:
    manifest = rows_manifest("misfit")
    manifest["spec"]["input"] = {"rows": "many", "colour": "blue"}
    job = ResumableJob.start(cluster, namespace, manifest)
    job.wait_condition("Failed")

    assert job.condition("Failed")["reason"] == "InvalidInput"
    message = job.condition("Failed")["message"]
    assert "rows" in message
    assert [pod["metadata"]["name"] for pod in job.pods()] == ["misfit-r1"]
    assert job.log.effects() == []


def test_an_image_that_does_not_exist_is_named_and_a_good_one_starts_the_job(cluster: Cluster, namespace: str) -> None:
    manifest = rows_manifest("typo")
    worker(manifest)["image"] = "localhost/no-such-image:dev"
    job = ResumableJob.start(cluster, namespace, manifest)
    wait_for(
        lambda: "no-such-image" in str(job.status.get("conditions")),
        60,
        "No condition names the image that does not exist",
        state=lambda: job.status,
    )
    assert "ErrImageNeverPull" in str(job.status["conditions"])

    job.log.hurry()
    job.apply(rows_manifest("typo"))
    job.wait_complete()
    job.log.check_each_row_once(ROWS)
    assert job.counters["failures"] == 0


def test_a_script_that_ends_without_a_record_is_a_failure(cluster: Cluster, namespace: str) -> None:
    manifest = rows_manifest("forgetful", container={"command": ["true"]}, backoffLimit=0)
    job = ResumableJob.start(cluster, namespace, manifest)
    job.wait_condition("Failed")

    assert job.causes() == ["NoRecord"]
    assert job.condition("Complete").get("status") != "True"
