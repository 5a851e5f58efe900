"""What is built is named by its modules' files, and knows its version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cluster import paths
from tests.cluster.toolchain import TOOLS, Tool

KUBERNETES = next(tool for tool in TOOLS if tool.name == "kubernetes")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_each_tool_has_its_module_and_checksums(tool: Tool) -> None:
    assert (tool.module / "go.mod").exists()
    assert (tool.module / "go.sum").exists()


def test_kubernetes_is_told_its_version() -> None:
    assert "-X k8s.io/component-base/version.gitVersion=v1.37." in KUBERNETES.linker_flags
    assert "-X k8s.io/component-base/version.gitMinor=37" in KUBERNETES.linker_flags


def test_another_checksum_means_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(KUBERNETES.module, tmp_path / "kubernetes")
    monkeypatch.setattr(paths, "TOOL_MODULES", tmp_path)
    before = KUBERNETES.key
    with (tmp_path / "kubernetes" / "go.sum").open("a") as sums:
        sums.write("example.com/new v1.0.0 h1:AAAA\n")
    assert KUBERNETES.key != before


def test_the_cache_is_outside_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESUMABLE_CACHE_DIR", raising=False)
    assert paths.CHECKOUT not in paths.cache().parents
