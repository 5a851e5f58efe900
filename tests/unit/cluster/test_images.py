"""Images are known by what they are made from, and archives hold what they say."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster import oci
from tests.cluster.images.store import Image, files_below, key_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "code.py").write_text("print(1)")
    return folder


def key(source: Path) -> str:
    return key_of(files=files_below(source), root=source)


def test_the_key_stays_where_nothing_changed(source: Path) -> None:
    before = key(source)
    (source / "package" / "__pycache__").mkdir()
    (source / "package" / "__pycache__" / "code.pyc").write_bytes(b"compiled")
    (source / "package" / "code.py").touch()
    assert key(source) == before


def test_the_key_changes_with_content_name_and_mode(source: Path) -> None:
    keys = [key(source)]
    (source / "package" / "code.py").write_text("print(2)")
    keys.append(key(source))
    (source / "package" / "code.py").chmod(0o755)
    keys.append(key(source))
    (source / "package" / "code.py").rename(source / "package" / "other.py")
    keys.append(key(source))
    assert len(set(keys)) == len(keys)


def test_only_older_archives_of_the_same_image_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESUMABLE_CACHE_DIR", str(tmp_path))
    old, new = (Image("localhost/jobs:dev", name * 16) for name in "ab")
    other = Image("localhost/jobs:dev-tools", "c" * 16)
    for image in (old, new, other):
        image.archive.parent.mkdir(exist_ok=True)
        image.archive.touch()
    new.forget_older()
    assert [image.is_built for image in (old, new, other)] == [False, True, True]


def test_an_archive_holds_the_files_under_their_digests(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"#!/bin/true")
    oci.write_layer(tmp_path / "layer.tar", {"/bin/program": program})
    oci.write_archive(tmp_path / "image.tar", "localhost/tool:1", tmp_path / "layer.tar", entrypoint=["/bin/program"])
    with tarfile.open(tmp_path / "image.tar") as archive:
        blobs = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    for name, blob in blobs.items():
        if name.startswith("blobs/sha256/"):
            assert name.removeprefix("blobs/sha256/") == hashlib.sha256(blob).hexdigest()
    (described,) = json.loads(blobs["index.json"])["manifests"]
    manifest = json.loads(blobs[_path(described["digest"])])
    config = json.loads(blobs[_path(manifest["config"]["digest"])])
    assert described["annotations"]["io.containerd.image.name"] == "localhost/tool:1"
    assert config["config"]["Entrypoint"] == ["/bin/program"]
    assert _path(manifest["layers"][0]["digest"]) in blobs


def test_the_same_content_gives_the_same_archive(tmp_path: Path) -> None:
    program = tmp_path / "program"
    written = []
    for attempt in range(2):
        program.write_bytes(b"#!/bin/true")
        program.touch()
        oci.write_layer(tmp_path / "layer.tar", {"/program": program})
        oci.write_archive(tmp_path / f"{attempt}.tar", "localhost/tool:1", tmp_path / "layer.tar")
        written.append((tmp_path / f"{attempt}.tar").read_bytes())
    assert written[0] == written[1]


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
