"""A base image for the Dockerfiles, made from this machine's own Debian or Ubuntu: no image registry is needed.

It stands for the public `python:…-slim` that the Dockerfile names by default, with the distribution's Python.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.cluster import oci, paths
from tests.cluster.command import run, run_logged
from tests.cluster.errors import ClusterError
from tests.cluster.images.store import Image, folder, key_of
from tests.cluster.progress import slowly

_NAME = "localhost/resumable-test-base"
_PACKAGES = ("python3", "python3-venv", "ca-certificates")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_PROXY_SETTINGS = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::https::CaInfo")
_SOURCES = ("sources.list", "sources.list.d/debian.sources", "sources.list.d/ubuntu.sources")


def ensure() -> Image:
    """The base image as an archive, made when it is missing (about 40 s)."""
    release = _release()
    key = key_of(release, *_PACKAGES, *_LEFT_OUT)
    image = Image(f"{_NAME}:{key}", key)
    if not image.is_built:
        root = folder() / "base-root.tar"
        log = paths.cache() / "log" / "base-image.log"
        with slowly(f"making the base image from the packages of {release} (log {log})"):
            run_logged([*_mmdebstrap(release, root)], log)
        oci.write_archive(
            image.archive, image.name, root, environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        )
        root.unlink()
    return image


def _mmdebstrap(release: str, target: Path) -> list[str]:
    target.parent.mkdir(parents=True, exist_ok=True)
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    for setting in _PROXY_SETTINGS:  # mmdebstrap does not look into the machine's own apt configuration
        value = run("sh", "-c", f"eval $(apt-config shell V {setting}) && echo $V").strip()
        if value:
            options.append(f'--aptopt={setting} "{value}"')
    # Mirrors and proxies are this machine's affair: they don't belong into an image.
    options.append('--customize-hook=rm -rf "$1"/etc/apt/sources.list* "$1"/etc/apt/apt.conf.d/99mmdebstrap')
    sources = [str(path) for path in (Path("/etc/apt") / name for name in _SOURCES) if _has_sources(path)]
    include = f"--include={','.join(_PACKAGES)}"
    return ["mmdebstrap", "--variant=minbase", include, *options, release, str(target), *sources]


def _release() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    try:
        return shlex.split(settings["VERSION_CODENAME"])[0]
    except (KeyError, IndexError):
        raise ClusterError(
            "/etc/os-release has no VERSION_CODENAME: a base image can only be made on a release of Debian or Ubuntu."
        ) from None


def _has_sources(path: Path) -> bool:
    return path.exists() and any(line.startswith(("deb ", "Types:")) for line in path.read_text().splitlines())
