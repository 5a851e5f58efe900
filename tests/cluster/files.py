"""Writing configuration files of daemons that may be running."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, text: str, *, mode: int = 0o644) -> Path:
    """Writes the file, whole or not at all, and only if its text differs: kube-proxy ends when its file is touched."""
    if path.exists() and path.read_text() == text:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=mode)
    fresh.write_text(text)
    fresh.replace(path)
    return path
