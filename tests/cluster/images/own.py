"""The cluster's own images: the pods' sandbox and CoreDNS, each a static binary and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.cluster import lock, oci, paths, toolchain
from tests.cluster.images.store import Image, files_below, folder, key_of
from tests.cluster.node import PAUSE_IMAGE

COREDNS_IMAGE = "localhost/resumable-test-coredns:1"
_PAUSE_SOURCE = Path(__file__).resolve().parent / "pause"


def ensure() -> list[Image]:
    """Builds the two images where they are missing; the tools must have been built."""
    pause = Image(PAUSE_IMAGE, key_of(files=files_below(_PAUSE_SOURCE), root=_PAUSE_SOURCE))
    coredns = Image(COREDNS_IMAGE, next(tool.key for tool in toolchain.TOOLS if tool.name == "coredns"))
    with lock.held("own-images", folder=paths.cache()):
        if not pause.is_built:
            binary = folder() / "pause"
            toolchain.build_go(_PAUSE_SOURCE, binary)
            _write(pause, binary)
        if not coredns.is_built:
            _write(coredns, paths.bin_dir() / "coredns")
    return [pause, coredns]


def _write(image: Image, binary: Path) -> None:
    layer = image.archive.with_suffix(".layer")
    oci.write_layer(layer, {binary.name: binary})
    oci.write_archive(image.archive, image.name, layer, entrypoint=[f"/{binary.name}"])
    layer.unlink()
    image.forget_older()
