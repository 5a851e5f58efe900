"""Writes an OCI image archive without a container engine: one layer, the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_MEDIA = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_archive(
    archive: Path,
    name: str,
    layer: Path,
    *,
    entrypoint: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Writes the image `name`, whose root file system is the tar file `layer`, to `archive`."""
    layer_digest, layer_size = _digest(layer), layer.stat().st_size
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {
                **({"Entrypoint": list(entrypoint)} if entrypoint else {}),
                "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
            },
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
            "history": [{"created_by": "tests.cluster.oci"}],  # buildah insists on one entry a layer
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _reference("config.v1+json", config),
            "layers": [{"mediaType": f"{_MEDIA}.layer.v1.tar", "digest": layer_digest, "size": layer_size}],
        }
    )
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = _json(
        {"schemaVersion": 2, "manifests": [{**_reference("manifest.v1+json", manifest), "annotations": names}]}
    )
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(tar, "index.json", index)
        for blob in (config, manifest):
            _add(tar, _blob_path(_sha256(blob)), blob)
        with layer.open("rb") as content:
            entry = tarfile.TarInfo(_blob_path(layer_digest))
            entry.size = layer_size
            tar.addfile(entry, content)
    unfinished.replace(archive)


def write_layer(layer: Path, files: Mapping[str, Path]) -> None:
    """Writes a layer with these executable files (path in the image: path here)."""
    layer.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(layer, "w") as tar:
        for inside, source in sorted(files.items()):
            entry = tarfile.TarInfo(inside.lstrip("/"))
            entry.mode = 0o755
            entry.size = source.stat().st_size
            with source.open("rb") as content:
                tar.addfile(entry, content)


def _reference(kind: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": f"{_MEDIA}.{kind}", "digest": _sha256(blob), "size": len(blob)}


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _sha256(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def _add(tar: tarfile.TarFile, name: str, blob: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(blob)
    tar.addfile(entry, io.BytesIO(blob))
