"""The project's image, and those of its examples: rebuilt only when what they are made from changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.cluster import lock, packages, paths
from tests.cluster.images import base, buildah
from tests.cluster.images.store import Image, files_below, key_of
from tests.cluster.progress import slowly

OPERATOR_IMAGE = "localhost/resumable-jobs:dev"
_EXAMPLE_PREFIX = "resumable-example-"
_CHART = paths.CHECKOUT / "charts" / "resumable-jobs"


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


def published_names(image: Image) -> set[str]:
    """What the checkout's own chart or manifest calls this image, which a user would pull from a registry."""
    if image.name == OPERATOR_IMAGE:
        chart = yaml.safe_load((_CHART / "Chart.yaml").read_text())
        values = yaml.safe_load((_CHART / "values.yaml").read_text())["image"]
        return {f"{values['repository']}:{values.get('tag') or chart['appVersion']}"}
    example = image.name.rpartition("/")[2].partition(":")[0].removeprefix(_EXAMPLE_PREFIX)
    manifest = paths.CHECKOUT / "examples" / example / "job.yaml"
    return set(_images_in(list(yaml.safe_load_all(manifest.read_text())))) if manifest.exists() else set()


def _images_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("image"), str):
            yield value["image"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _images_in(item)


def _ensure() -> Iterator[Image]:
    foundation = base.ensure()
    inputs = list(_build_inputs())
    operator = Image(OPERATOR_IMAGE, key_of(foundation.key, files=inputs, root=paths.CHECKOUT))
    _build(operator, paths.CHECKOUT, BASE_IMAGE=foundation)
    yield operator
    for dockerfile in sorted((paths.CHECKOUT / "examples").glob("*/Dockerfile")):
        context = dockerfile.parent
        example = Image(
            f"localhost/{_EXAMPLE_PREFIX}{context.name}:dev",
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
