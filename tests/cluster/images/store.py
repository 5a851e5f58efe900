"""Archives of built images in the cache folder, each known by what it was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import paths


@dataclass(frozen=True)
class Image:
    """An image as an OCI archive.

    Attributes:
        name: what a pod calls it.
        key: a hash of everything that it was made from; the same key, the same image.
    """

    name: str
    key: str

    @property
    def archive(self) -> Path:
        """The archive; not every image has been built already."""
        return folder() / f"{self._slug}-{self.key}.tar"

    @property
    def is_built(self) -> bool:
        return self.archive.exists()

    def forget_older(self) -> None:
        """Deletes the archives of earlier states of this image."""
        for other in folder().glob(f"{self._slug}-*.tar"):
            if other != self.archive and len(other.stem) == len(self.archive.stem):
                other.unlink(missing_ok=True)

    @property
    def _slug(self) -> str:
        return self.name.rpartition("/")[2].replace(":", "-")


def folder() -> Path:
    """Where the archives are."""
    return paths.cache() / "images"


def key_of(*parts: str, files: Iterable[Path] = (), root: Path | None = None) -> str:
    """A hash of texts and of files: of their content, mode and, relative to `root`, their names."""
    digest = hashlib.sha256(repr(parts).encode())
    for file in sorted(files):
        name = file.relative_to(root) if root else file.name
        digest.update(f"{name} {file.stat().st_mode & 0o777:o} {file.stat().st_size}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def files_below(*roots: Path) -> Iterator[Path]:
    """The files below these folders (or the files themselves), without what Python and tools leave behind."""
    for root in roots:
        if root.is_file():
            yield root
        for file in root.rglob("*"):
            if file.is_file() and not any(part == "__pycache__" or part.endswith("_cache") for part in file.parts):
                yield file
