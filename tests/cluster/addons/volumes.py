"""A default StorageClass and a stock of volumes for its claims.

Each volume is a folder of this machine. Both nodes are this machine, so a pod that was drained from one node finds the
same files on the other, as with network storage. There is no provisioner: a claim binds to a volume of the stock, and a
volume whose claim is gone goes back to the stock by `recycle`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.cluster import lock, paths

STORAGE_CLASS = "standard"
_RECYCLING = "resumable-test-cluster-volumes"
_CAPACITY = "100Gi"  # nominal: a claim for less binds too
_SHARED_STOCK = 48
_SINGLE_POD_STOCK = 16
STOCK = _SHARED_STOCK + _SINGLE_POD_STOCK
_SHARED = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]
_SINGLE_POD = ["ReadWriteOncePod"]  # can't stand beside another mode


class Kubectl(Protocol):
    """`Cluster.kubectl`, as much of it as is needed here."""

    def __call__(self, *arguments: str, input: str | None = None) -> str: ...


def manifest() -> str:
    """The StorageClass and the volumes; makes the volumes' folders."""
    volumes = [_volume(f"shared-{n:02}", _SHARED) for n in range(_SHARED_STOCK)]
    volumes += [_volume(f"single-pod-{n:02}", _SINGLE_POD) for n in range(_SINGLE_POD_STOCK)]
    for volume in volumes:
        _make_folder(_folder(volume))
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [_storage_class(), *volumes]})


def recycle(kubectl: Kubectl) -> int:
    """Empties the volumes whose claims are gone and offers them again; returns how many.

    "Failed" volumes are among them: what was Released long enough to be given up by the volume controller.
    """
    recycled = 0
    # Another process that did the same might empty a volume that a new claim has got meanwhile.
    with lock.held(_RECYCLING):
        for volume in _released(kubectl):
            folder = _folder(volume)
            shutil.rmtree(folder, ignore_errors=True)
            _make_folder(folder)
            free = '--patch={"spec": {"claimRef": null}}'
            kubectl("patch", "persistentvolume", volume["metadata"]["name"], "--type=merge", free)
            recycled += 1
    return recycled


def _released(kubectl: Kubectl) -> Iterator[dict[str, Any]]:
    for volume in json.loads(kubectl("get", "persistentvolumes", "--output=json"))["items"]:
        ours = volume["spec"].get("storageClassName") == STORAGE_CLASS
        if ours and volume["status"].get("phase") in ("Released", "Failed"):
            yield volume


def _storage_class() -> dict[str, object]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "reclaimPolicy": "Retain",
        "volumeBindingMode": "Immediate",
    }


def _volume(name: str, access_modes: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": _CAPACITY},
            "accessModes": access_modes,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(paths.RUN / "volumes" / name), "type": "Directory"},
        },
    }


def _folder(volume: dict[str, Any]) -> Path:
    return Path(volume["spec"]["hostPath"]["path"])


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)  # fsGroup does not reach into a hostPath, and the pods are not root
