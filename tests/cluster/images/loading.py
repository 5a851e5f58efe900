"""Brings images into the nodes' containerd, each only once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster import node
from tests.cluster.images.store import Image
from tests.cluster.topology import NODES, NodeLayout


def load(layout: NodeLayout, images: Iterable[Image]) -> list[Image]:
    """Loads what the node does not have yet in just this state; returns what was loaded."""
    loaded = _read(layout)
    fresh = [image for image in images if loaded.get(image.name) != image.key]
    for image in fresh:
        node.import_image(layout, image.archive)
        loaded[image.name] = image.key
        _record(layout).write_text(json.dumps(loaded, indent=1))
    return fresh


def load_everywhere(images: list[Image]) -> list[Image]:
    """Loads images into both nodes at once; returns what was new to at least one."""
    with ThreadPoolExecutor() as pool:
        fresh = {image for part in pool.map(lambda layout: load(layout, images), NODES) for image in part}
    return [image for image in images if image in fresh]


def _read(layout: NodeLayout) -> dict[str, str]:
    try:
        loaded: dict[str, str] = json.loads(_record(layout).read_text())
    except FileNotFoundError:
        return {}
    return loaded


def _record(layout: NodeLayout) -> Path:
    return layout.folder / "images.json"
