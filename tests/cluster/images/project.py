"""The project's image, and those of its examples: rebuilt only when what they are made from changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.cluster import lock, packages, paths
from tests.cluster.images import base, buildah
from tests.cluster.images.store import Image, files_below, key_of
from tests.cluster.progress import slowly

OPERATOR_IMAGE = "localhost/resumable-jobs:dev"


def ensure() -> list[Image]:
    """Builds what changed; returns the project's image first, then one for each example with a Dockerfile.

    Raises:
        ClusterError: a program is missing, or a build failed; the message names its log.
    """
    packages.ensure()
    with lock.held("images", folder=paths.cache()):
        try:
            images = list(_ensure())
            buildah.prune(log for log in map(_log, images) if log.exists())
            return images
        finally:
            buildah.release_mounts()


def _ensure() -> Iterator[Image]:
    foundation = base.ensure()
    inputs = list(_build_inputs())
    operator = Image(OPERATOR_IMAGE, key_of(foundation.key, files=inputs, root=paths.CHECKOUT))
    _build(operator, paths.CHECKOUT, BASE_IMAGE=foundation)
    yield operator
    for dockerfile in sorted((paths.CHECKOUT / "examples").glob("*/Dockerfile")):
        context = dockerfile.parent
        example = Image(
            f"localhost/resumable-example-{context.name}:dev",
            key_of(operator.key, foundation.key, files=files_below(context), root=context),
        )
        # Its packages are installed on the foundation: that layer then stays when only the project's code changed.
        _build(example, context, BASE_IMAGE=operator, BUILD_IMAGE=foundation)
        yield example


def _build(image: Image, context: Path, **bases: Image) -> None:
    if image.is_built:
        return
    with slowly(f"building {image.name}"):
        buildah.build(image, context, _log(image), **bases)


def _log(image: Image) -> Path:
    name = image.name.rpartition("/")[2].partition(":")[0]
    return paths.cache() / "log" / f"image-{name}.log"


def _build_inputs() -> Iterator[Path]:
    """The files that the project's Dockerfile can see: what `.dockerignore` lets through, and the Dockerfile."""
    allowed = [
        line[1:].strip() for line in (paths.CHECKOUT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    yield paths.CHECKOUT / "Dockerfile"
    yield from files_below(*(paths.CHECKOUT / name for name in allowed))
