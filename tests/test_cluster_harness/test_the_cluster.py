"""What the tests of the operator rely on: each thing once, on the real cluster."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster import Cluster, CommandFailed, diagnostics, topology, wait_for
from tests.test_cluster_harness.conftest import RunPod


def execute(cluster: Cluster, namespace: str, pod: str, script: str) -> str:
    return cluster.kubectl("exec", pod, f"--namespace={namespace}", "--", "sh", "-c", script)


def test_both_nodes_are_ready(bare_cluster: Cluster) -> None:
    assert [bare_cluster.node_is_ready(name) for name in ("n1", "n2")] == [True, True]


def test_a_claim_binds_and_pods_on_both_nodes_write_to_its_volume(
    bare_cluster: Cluster, namespace: str, run_pod: RunPod
) -> None:
    bare_cluster.apply(_claim(), namespace=namespace)
    volume = {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    for node in ("n1", "n2"):
        pod = run_pod(f"writer-{node}", f"echo {node} >> /data/written; sleep 1000", node=node, **volume)
    assert execute(bare_cluster, namespace, pod, "cat /data/written").split() == ["n1", "n2"]


def test_a_volume_whose_claim_is_gone_comes_back_empty(bare_cluster: Cluster, namespace: str, run_pod: RunPod) -> None:
    bare_cluster.apply(_claim(), namespace=namespace)
    volume = {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    run_pod("writer", "echo something > /data/file; sleep 1000", **volume)
    name = bare_cluster.kubectl_json("get", "pvc", "data", f"--namespace={namespace}")["spec"]["volumeName"]
    bare_cluster.kubectl("delete", "pod/writer", "pvc/data", f"--namespace={namespace}")

    def back_in_stock() -> bool:
        bare_cluster.recycle_volumes()
        return bare_cluster.kubectl("get", "pv", name, "--output=jsonpath={.status.phase}") == "Available"

    wait_for(back_in_stock, 30, f"Volume {name} was not offered again")
    folder = bare_cluster.kubectl_json("get", "pv", name)["spec"]["hostPath"]["path"]
    assert os.listdir(folder) == []


def test_a_pod_finds_a_service_by_its_name(bare_cluster: Cluster, namespace: str, run_pod: RunPod) -> None:
    pod = run_pod("client")
    script = "getent hosts kubernetes.default.svc && getent hosts kube-dns.kube-system.svc.cluster.local"
    answers = execute(bare_cluster, namespace, pod, script)
    assert [line.split()[0] for line in answers.splitlines()] == ["10.96.0.1", "10.96.0.10"]


def test_a_projected_token_of_our_own_audience_names_its_pod(
    bare_cluster: Cluster, namespace: str, run_pod: RunPod
) -> None:
    source = {"serviceAccountToken": {"audience": "state.example", "path": "token", "expirationSeconds": 3600}}
    pod = run_pod(
        "worker",
        volumes=[{"name": "token", "projected": {"sources": [source]}}],
        volumeMounts=[{"name": "token", "mountPath": "/token"}],
    )
    token = execute(bare_cluster, namespace, pod, "cat /token/token")
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": ["state.example"]},
    }
    answer = bare_cluster.kubectl("create", "--filename=-", "--output=json", input=json.dumps(review))
    status = json.loads(answer)["status"]
    assert status["authenticated"]
    assert status["user"]["extra"]["authentication.kubernetes.io/pod-name"] == [pod]


def test_a_pod_that_is_not_restricted_is_refused(bare_cluster: Cluster, namespace: str) -> None:
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        bare_cluster.kubectl("run", "root", "--image=localhost/none", f"--namespace={namespace}")


def test_a_node_may_not_touch_the_pods_of_another(bare_cluster: Cluster, namespace: str, run_pod: RunPod) -> None:
    run_pod("victim", node="n2")
    kubeconfig = topology.node("n1").folder / "kubelet.kubeconfig"
    with pytest.raises(CommandFailed, match="forbidden"):
        bare_cluster.kubectl("delete", "pod", "victim", f"--namespace={namespace}", f"--kubeconfig={kubeconfig}")


def test_a_drained_pod_is_told_why(bare_cluster: Cluster, namespace: str, run_pod: RunPod) -> None:
    pod = run_pod("worker", "trap 'exit 75' TERM; sleep 1000 & wait", node="n1")
    patch = ["patch", "pod", pod, f"--namespace={namespace}", "--type=merge", "--patch"]
    bare_cluster.kubectl(*patch, '{"metadata": {"finalizers": ["test.example/look-at-it-first"]}}')
    with ThreadPoolExecutor() as pool:
        drained = pool.submit(bare_cluster.drain, "n1")
        try:
            ended = wait_for(lambda: _terminated(bare_cluster, namespace, pod), 30, "The drained pod did not end")
            conditions = bare_cluster.kubectl_json("get", "pod", pod, f"--namespace={namespace}")["status"][
                "conditions"
            ]
        finally:
            bare_cluster.kubectl(*patch, '{"metadata": {"finalizers": null}}')
        drained.result()
    bare_cluster.uncordon("n1")
    assert ended["exitCode"] == 75
    assert ("DisruptionTarget", "EvictionByEvictionAPI") in [(c["type"], c.get("reason")) for c in conditions]


def test_a_container_killed_from_outside_ends_with_137(bare_cluster: Cluster, namespace: str, run_pod: RunPod) -> None:
    pod = run_pod("worker")
    bare_cluster.kill_container(namespace, pod)
    ended = wait_for(lambda: _terminated(bare_cluster, namespace, pod), 30, "The killed container did not end")
    assert ended["exitCode"] == 137


def test_the_processes_of_a_lost_node_run_on(bare_cluster: Cluster, namespace: str, run_pod: RunPod) -> None:
    pod = run_pod("worker", node="n2")
    uid = bare_cluster.kubectl_json("get", "pod", pod, f"--namespace={namespace}")["metadata"]["uid"]
    bare_cluster.stop_node("n2", wait=True)
    try:
        wait_for(
            lambda: bare_cluster.kubectl_json("get", "pod", pod, f"--namespace={namespace}")["metadata"].get(
                "deletionTimestamp"
            ),
            30,
            "The pod on the lost node was not deleted",
        )
        assert bare_cluster.pod_processes(uid)
    finally:
        bare_cluster.continue_node("n2")
    wait_for(
        lambda: not bare_cluster.pod_processes(uid), 30, "The pod's processes were not ended after the node's return"
    )


def test_pods_outlive_the_api_server(bare_cluster: Cluster, namespace: str, run_pod: RunPod) -> None:
    pod = run_pod("worker")
    pid = bare_cluster.container_process(namespace, pod)
    bare_cluster.stop_api_server()
    try:
        with pytest.raises(CommandFailed, match="refused"):
            bare_cluster.kubectl("get", "nodes")
    finally:
        bare_cluster.start_api_server()
    assert bare_cluster.container_process(namespace, pod) == pid


def test_a_report_has_the_pods_words(bare_cluster: Cluster, namespace: str, run_pod: RunPod) -> None:
    run_pod("talker", "echo the last words; sleep 1000")
    wait_for(
        lambda: "the last words" in bare_cluster.kubectl("logs", "talker", f"--namespace={namespace}") or None,
        10,
        "The pod's output did not show in its log",
    )
    report = diagnostics.collect(namespace)
    assert "the last words" in report.text
    assert (report.folder / "kubelet-n1.log").exists()


def _claim() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def _terminated(cluster: Cluster, namespace: str, pod: str) -> dict[str, int] | None:
    status = cluster.kubectl_json("get", "pod", pod, f"--namespace={namespace}")["status"]
    state: dict[str, int] | None = status["containerStatuses"][0]["state"].get("terminated")
    return state
