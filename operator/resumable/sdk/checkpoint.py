"""Checkpoint files, fenced as records are.

    <root>/<run>/<step>[@<key>]/<attempt>-<sequence>/

Each checkpoint goes to a folder of its own and becomes *the* checkpoint only when the guarded write of the cursor
names it. A worker that outlived its successor writes into a folder that nobody reads, and one that is killed half way
leaves the checkpoint before it. Before the write all files are on disk (fsync) together with a manifest of their
checksums, which is verified before they are used again.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import msgspec

from resumable.sdk.errors import CheckpointDamaged, InvalidStep

MANIFEST = ".manifest.json"
KEPT = 2  # the published one, and the one before it for a person who needs it

_LONGEST_NAME = 160


class File(msgspec.Struct, frozen=True):
    """A file as it was written."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a checkpoint consists of, by path relative to its folder."""

    files: dict[str, File]


class StepCheckpoints:
    """The checkpoint folders of one step of one run. Locations are relative to the root, which each pod may mount
    elsewhere.
    """

    def __init__(self, root: Path, run_id: str, step: str, key: str) -> None:
        self.root = root
        folder = f"{safe_name(step)}@{safe_name(key)}" if key else safe_name(step)
        self._folder = f"{safe_name(run_id)}/{folder}"
        self._label = f"step {step!r}" + (f" (key {key!r})" if key else "")

    def create(self, attempt: int, sequence: int) -> Path:
        """A new empty folder."""
        folder = self.root / self._folder / f"{attempt}-{sequence}"
        folder.mkdir(parents=True)
        return folder

    def seal(self, folder: Path) -> str:
        """Write the manifest and bring everything to disk; returns the location to publish."""
        files = {path.relative_to(folder).as_posix(): _sealed(path) for path in self._files(folder)}
        with (folder / MANIFEST).open("wb") as manifest:
            manifest.write(msgspec.json.encode(Manifest(files)))
            manifest.flush()
            os.fsync(manifest.fileno())
        for directory, _, _ in os.walk(folder, topdown=False):
            _sync_directory(Path(directory))
        for parent in folder.parents:
            _sync_directory(parent)
            if parent == self.root:
                break
        return folder.relative_to(self.root).as_posix()

    def restore(self, location: str) -> Path:
        """The published folder, after each file was compared with its checksum. Raises `CheckpointDamaged`."""
        folder = self.root / location
        try:
            manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        except FileNotFoundError:
            raise CheckpointDamaged(
                f"{self._label}: its checkpoint {location} is not under {self.root};"
                " is the volume the one that it was saved to?"
            ) from None
        except msgspec.MsgspecError as error:
            raise CheckpointDamaged(
                f"{self._label}: the manifest of its checkpoint {folder} is damaged: {error}"
            ) from None
        for name, written in manifest.files.items():
            self._verify(folder, name, written)
        return folder

    def collect(self, published: Iterable[str]) -> None:
        """Remove what is older than the newest published one, except the other published ones that are given.

        What a later attempt makes is never touched: it has a higher number than anything that this process has
        published.
        """
        kept = {Path(location).name for location in published}
        newest = max((_order(name) for name in kept), default=(0, 0))
        try:
            names = os.listdir(self.root / self._folder)
        except FileNotFoundError:
            return
        import shutil  # 3 ms that few jobs need

        for name in names:
            if name not in kept and (0, 0) < _order(name) < newest:
                shutil.rmtree(self.root / self._folder / name, ignore_errors=True)

    def _files(self, folder: Path) -> Iterable[Path]:
        for directory, _, names in os.walk(folder):
            for name in names:
                path = Path(directory, name)
                if path.is_symlink() or not path.is_file():
                    raise InvalidStep(
                        f"{self._label}: {path} in its checkpoint is not a plain file; copy what it stands for"
                    )
                yield path

    def _verify(self, folder: Path, name: str, written: File) -> None:
        try:
            found = _read(folder / name)
        except OSError as error:
            raise CheckpointDamaged(
                f"{self._label}: {name} of its checkpoint {folder} can't be read: {error}"
            ) from None
        if found != written:
            raise CheckpointDamaged(
                f"{self._label}: {name} of its checkpoint {folder} is not what was saved"
                f" ({found.size:,} bytes, {written.size:,} were written; or other content); was it changed in place?"
            )


def safe_name(name: str) -> str:
    """The name as one path component; two names never meet in one."""
    safe = quote(name, safe=" ").replace(" ", "+")
    if safe.startswith("."):
        safe = "%2E" + safe[1:]
    if len(safe) > _LONGEST_NAME:
        import hashlib

        safe = f"{safe[:_LONGEST_NAME]}~~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return safe


def _order(name: str) -> tuple[int, int]:
    attempt, _, sequence = name.partition("-")
    return (int(attempt), int(sequence)) if attempt.isdecimal() and sequence.isdecimal() else (0, 0)


def _read(path: Path) -> File:
    import hashlib  # loads OpenSSL: only for who has checkpoints

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return File(file.tell(), digest)


def _sealed(path: Path) -> File:
    written = _read(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return written


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
