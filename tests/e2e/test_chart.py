"""What Helm makes of the chart. Rendering needs no cluster, but the real Helm, which the test cluster's tools bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import paths
from tests.cluster.command import run
from tests.cluster.errors import CommandFailed

CHART = paths.CHECKOUT / "charts" / "resumable-jobs"

Object = dict[str, Any]


def helm(*arguments: str | Path) -> str:
    return run(paths.bin_dir() / "helm", *arguments)


def rendered(*values: str) -> list[Object]:
    flags = [f"--set={value}" for value in values]
    text = helm("template", "resumable", CHART, "--namespace=resumable-system", *flags)
    return [document for document in yaml.safe_load_all(text) if document]


def find(documents: list[Object], kind: str, name: str) -> Object:
    (found,) = [each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def rules(documents: list[Object], account: str) -> set[tuple[str, str, str, str]]:
    """(namespace or "" for all, group, resource, verb) for everything that a ServiceAccount is bound to."""
    granted = set()
    for binding in documents:
        if not binding["kind"].endswith("RoleBinding") or binding["subjects"][0]["name"] != account:
            continue
        namespace = binding["metadata"].get("namespace", "")
        (role,) = [
            each
            for each in documents
            if each["kind"] == binding["roleRef"]["kind"]
            and each["metadata"]["name"] == binding["roleRef"]["name"]
            and each["metadata"].get("namespace", "") == namespace
        ]
        for rule in role["rules"]:
            granted |= {
                (namespace, group, resource, verb)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
    return granted


def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART)


def test_every_pod_fulfils_the_restricted_level_with_a_read_only_root() -> None:
    workloads = [each for each in rendered() if each["kind"] in ("Deployment", "StatefulSet")]
    assert len(workloads) == 2
    for workload in workloads:
        spec = workload["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"livenessProbe", "readinessProbe", "resources"} <= container.keys()


def test_the_state_service_may_ask_whose_a_token_is_and_nothing_else() -> None:
    assert rules(rendered(), "resumable-state") == {("", "authentication.k8s.io", "tokenreviews", "create")}


def test_the_controller_reads_no_secret_and_changes_nothing_but_jobs_signals_pods_events_and_its_lease() -> None:
    granted = rules(rendered(), "resumable-controller")
    resources = {resource for _, _, resource, _ in granted}
    assert resources == {
        "resumablejobs",
        "resumablejobs/status",
        "resumablejobs/finalizers",
        "resumablesignals",
        "resumablesignals/status",
        "pods",
        "events",
        "leases",
    }
    assert all("*" not in grant for grant in granted)
    assert {namespace for namespace, _, resource, _ in granted if resource == "leases"} == {"resumable-system"}


def test_with_watched_namespaces_the_controller_gets_roles_there_and_no_cluster_role() -> None:
    documents = rendered("watchNamespaces={blue,green}")
    namespaces = {
        namespace for namespace, _, resource, _ in rules(documents, "resumable-controller") if resource == "pods"
    }
    assert namespaces == {"blue", "green"}
    arguments = find(documents, "Deployment", "resumable-controller")["spec"]["template"]["spec"]["containers"][0][
        "args"
    ]
    assert "--namespace=blue" in arguments
    assert "--namespace=green" in arguments


def test_a_database_outside_replaces_the_volume_and_its_url_stays_in_the_secret() -> None:
    documents = rendered("state.databaseURLSecret.name=postgres", "state.replicas=2")
    state = find(documents, "StatefulSet", "resumable-state")["spec"]
    assert "volumeClaimTemplates" not in state
    assert state["replicas"] == 2
    (container,) = state["template"]["spec"]["containers"]
    assert not any(argument.startswith("--store-url") for argument in container["args"])
    assert container["env"] == [
        {"name": "RESUMABLE_STORE_URL", "valueFrom": {"secretKeyRef": {"name": "postgres", "key": "url"}}}
    ]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("state.replicas=2", "replicas"),  # two services on one SQLite
        ("controller.replica=2", "replica"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("watchNamespaces={Not_A_Namespace}", "watchNamespaces"),
        ("state.persistence.size=lots", "size"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(value: str, named: str) -> None:
    with pytest.raises(CommandFailed, match=named):
        rendered(value)
