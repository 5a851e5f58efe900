"""What becomes of a template: the user's fields stay, ours can't be taken away."""

from copy import deepcopy
from typing import Any

import pytest

from resumable.controller.pod_manifest import pod_manifest
from resumable.lifecycle.pod import nonce_hash
from resumable.resource.invalid import InvalidSpec
from resumable.resource.job import parse_job
from resumable.sdk.environment import WorkerEnvironment

Object = dict[str, Any]
NONCE = "c0ffee" * 5
URL = "http://resumable-state.resumable-system.svc:8080"


def manifest_of(job: Object, attempt: int = 3) -> Object:
    return pod_manifest(parse_job(job), attempt, NONCE, store_url=URL)


def environment_of(container: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def test_the_pod_is_named_owned_and_tracked(job_object: Object) -> None:
    metadata = manifest_of(job_object)["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("train-r3", "ml")
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "resumable.dev/v1alpha1",
            "kind": "ResumableJob",
            "name": "train",
            "uid": job_object["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert metadata["finalizers"] == ["resumable.dev/tracking"]
    assert metadata["labels"] == {
        "team": "blue",
        "resumable.dev/job-name": "train",
        "resumable.dev/run": job_object["metadata"]["uid"],
        "resumable.dev/attempt": "3",
    }


def test_the_nonce_is_in_the_worker_s_environment_and_only_its_hash_is_on_the_pod(job_object: Object) -> None:
    pod = manifest_of(job_object)
    assert pod["metadata"]["annotations"]["resumable.dev/nonce-hash"] == nonce_hash(NONCE)
    assert NONCE not in str(pod["metadata"])
    assert environment_of(pod["spec"]["containers"][0])["RESUMABLE_NONCE"] == NONCE
    assert NONCE not in str(pod["spec"]["containers"][1])


def test_the_worker_can_read_all_it_needs_from_its_environment(job_object: Object) -> None:
    container = manifest_of(job_object)["spec"]["containers"][0]
    read = WorkerEnvironment.read(environment_of(container))
    assert read is not None
    assert (read.store_url, read.fence.run_id) == (URL, job_object["metadata"]["uid"])
    assert (read.fence.attempt, read.fence.nonce) == (3, NONCE)
    assert read.grace.total_seconds() == 60
    assert str(read.token_file) == "/var/run/secrets/resumable.dev/token"


def test_the_token_has_our_audience_and_is_mounted_into_the_worker_only(job_object: Object) -> None:
    spec = manifest_of(job_object)["spec"]
    (volume,) = [each for each in spec["volumes"] if "projected" in each]
    assert volume["projected"]["sources"] == [
        {"serviceAccountToken": {"path": "token", "audience": "state.resumable.dev", "expirationSeconds": 3600}}
    ]
    worker, sidecar = spec["containers"]
    assert {"name": volume["name"], "mountPath": "/var/run/secrets/resumable.dev", "readOnly": True} in worker[
        "volumeMounts"
    ]
    assert "volumeMounts" not in sidecar


def test_a_user_s_own_variables_stay_but_can_t_stand_in_for_ours(job_object: Object) -> None:
    container = job_object["spec"]["template"]["spec"]["containers"][0]
    container["env"] += [
        {"name": "RESUMABLE_NONCE", "value": "forged"},
        {"name": "WHERE", "value": "$(RESUMABLE_RUN)/out"},
    ]
    env = manifest_of(job_object)["spec"]["containers"][0]["env"]
    names = [each["name"] for each in env]
    assert names.count("RESUMABLE_NONCE") == 1
    assert "forged" not in str(env)
    assert names.index("RESUMABLE_RUN") < names.index("WHERE")  # or Kubernetes would not expand it
    assert "EPOCHS" in names


def test_the_grace_is_sixty_seconds_unless_the_template_says_otherwise(job_object: Object) -> None:
    assert manifest_of(job_object)["spec"]["terminationGracePeriodSeconds"] == 60
    job_object["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 7
    pod = manifest_of(job_object)
    assert pod["spec"]["terminationGracePeriodSeconds"] == 7
    assert environment_of(pod["spec"]["containers"][0])["RESUMABLE_GRACE_SECONDS"] == "7"


def test_a_container_is_never_restarted_by_the_kubelet(job_object: Object) -> None:
    assert manifest_of(job_object)["spec"]["restartPolicy"] == "Never"


def test_the_autoscaler_may_evict_unless_the_template_or_the_spec_says_no(job_object: Object) -> None:
    key = "cluster-autoscaler.kubernetes.io/safe-to-evict"
    assert manifest_of(job_object)["metadata"]["annotations"][key] == "true"
    by_template = deepcopy(job_object)
    by_template["spec"]["template"]["metadata"]["annotations"] = {key: "false"}
    assert manifest_of(by_template)["metadata"]["annotations"][key] == "false"
    job_object["spec"]["disruption"] = {"safeToEvict": False}
    assert key not in manifest_of(job_object)["metadata"]["annotations"]


def test_the_checkpoint_volume_is_mounted_where_the_spec_says(job_object: Object) -> None:
    job_object["spec"]["checkpoints"] = {"volume": {"name": "data", "path": "/checkpoints"}}
    container = manifest_of(job_object)["spec"]["containers"][0]
    assert {"name": "data", "mountPath": "/checkpoints"} in container["volumeMounts"]
    assert environment_of(container)["RESUMABLE_CHECKPOINT_DIR"] == "/checkpoints"


def test_a_checkpoint_volume_that_the_template_mounts_itself_is_not_mounted_twice(job_object: Object) -> None:
    job_object["spec"]["checkpoints"] = {"volume": {"name": "data", "path": "/data/checkpoints"}}
    job_object["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    container = manifest_of(job_object)["spec"]["containers"][0]
    assert [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "data"] == ["/data"]
    assert environment_of(container)["RESUMABLE_CHECKPOINT_DIR"] == "/data/checkpoints"


def test_the_annotation_says_which_container_is_the_worker(job_object: Object) -> None:
    job_object["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "sidecar"}
    main, sidecar = manifest_of(job_object)["spec"]["containers"]
    assert "RESUMABLE_RUN" in environment_of(sidecar)
    assert environment_of(main) == {"EPOCHS": "3"}


def test_the_last_words_of_a_dying_worker_are_kept_unless_the_template_says_how(job_object: Object) -> None:
    container = manifest_of(job_object)["spec"]["containers"][0]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    job_object["spec"]["template"]["spec"]["containers"][0]["terminationMessagePolicy"] = "File"
    assert manifest_of(job_object)["spec"]["containers"][0]["terminationMessagePolicy"] == "File"


def test_a_volume_with_the_name_of_ours_is_refused_by_its_field(job_object: Object) -> None:
    job_object["spec"]["template"]["spec"]["volumes"].append({"name": "resumable-token", "emptyDir": {}})
    with pytest.raises(InvalidSpec, match=r"spec\.template\.spec\.volumes.*resumable-token"):
        manifest_of(job_object)


def test_the_template_itself_is_left_as_it_is(job_object: Object) -> None:
    before = deepcopy(job_object)
    job = parse_job(job_object)
    first = pod_manifest(job, 1, NONCE, store_url=URL)
    second = pod_manifest(job, 2, NONCE, store_url=URL)
    assert job_object == before
    assert len(first["spec"]["containers"][0]["env"]) == len(second["spec"]["containers"][0]["env"])
    assert (
        first["metadata"]["annotations"]["resumable.dev/template-hash"]
        == second["metadata"]["annotations"]["resumable.dev/template-hash"]
    )
