"""Jobs and pods as the API server gives them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Object = dict[str, Any]
RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture
def recorded_pod() -> Callable[[str], Object]:
    """A pod as a real API server 1.37 gave it, with `kubectl get pod -o json`."""

    def read(name: str) -> Object:
        pod: Object = json.loads((RECORDED / f"{name}.json").read_text())
        return pod

    return read


@pytest.fixture
def job_object() -> Object:
    """A ResumableJob with a plain template."""
    return {
        "apiVersion": "resumable.dev/v1alpha1",
        "kind": "ResumableJob",
        "metadata": {
            "name": "train",
            "namespace": "ml",
            "uid": "0b8e7a52-6a51-4f0e-9a5c-0d6f3d3f0c11",
            "resourceVersion": "100",
            "generation": 1,
            "finalizers": ["resumable.dev/tracking"],
        },
        "spec": {
            "template": {
                "metadata": {"labels": {"team": "blue"}},
                "spec": {
                    "containers": [
                        {"name": "main", "image": "train:1", "env": [{"name": "EPOCHS", "value": "3"}]},
                        {"name": "sidecar", "image": "sidecar:1"},
                    ],
                    "volumes": [{"name": "data", "emptyDir": {}}],
                },
            }
        },
    }
