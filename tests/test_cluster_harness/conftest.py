"""A pod to try the cluster with: the Debian-made base image, which has a shell and Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.images import base, loading

RunPod = Callable[..., str]


@pytest.fixture
def run_pod(bare_cluster: Cluster, namespace: str) -> RunPod:
    """Starts a restricted, non-root pod that runs a shell script, waits until it is Ready, and returns its name."""
    image = base.ensure()
    loading.load_everywhere([image])

    def run(name: str, script: str = "sleep 1000", *, node: str | None = None, **spec: Any) -> str:
        mounts = spec.pop("volumeMounts", [])
        container = {
            "name": "main",
            "image": image.name,
            "imagePullPolicy": "Never",
            "command": ["sh", "-c", script],
            "volumeMounts": mounts,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        bare_cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 1,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 1000,
                        "fsGroup": 1000,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container],
                    **({"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}),
                    **spec,
                },
            },
            namespace=namespace,
        )
        bare_cluster.kubectl(
            "wait", f"pod/{name}", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=30s"
        )
        return name

    return run
