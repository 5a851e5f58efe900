"""Builds Dockerfiles with buildah, in a storage of our own, with this machine's pip settings and certificates."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cluster import machine, paths
from tests.cluster.command import run, run_logged
from tests.cluster.errors import CommandFailed
from tests.cluster.images.store import Image
from tests.cluster.progress import slowly

_RUN_ROOT = Path("/run/resumable-test-buildah")
_STEP = re.compile(r"^--> (?:Using cache )?([0-9a-f]{11,64})$", re.MULTILINE)  # in buildah's output: a layer's image
_SHORT_ID = 11
_MANY = 60  # layers; a build makes about a dozen
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# What pip needs to know to find packages; the rest of its configuration is about this machine, not about a build.
_PIP_SETTINGS = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "no-index",
    "default-timeout",
    "timeout",
    "retries",
    "proxy",
)


def build(image: Image, context: Path, log: Path, **bases: Image) -> None:
    """Builds the Dockerfile of `context` into the image's archive.

    Args:
        image: what comes out.
        context: the folder of the Dockerfile.
        log: where the build's output goes.
        bases: the images that it is built from, by the name of their build argument.

    Raises:
        CommandFailed: it failed; the message has the end of the log, and names it.
    """
    stored = run(*_buildah("images", "--format={{.Name}}:{{.Tag}}")).split()
    for base in bases.values():
        if base.name not in stored:
            import_archive(base)
    image.archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = image.archive.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with _pip_volumes() as volumes:
        run_logged(
            [
                *_buildah("build", "--layers", "--isolation=chroot", "--network=host", "--pull-never"),
                *volumes,
                *(f"--build-arg={argument}={base.name}" for argument, base in bases.items()),
                f"--tag={image.name}",
                context,
            ],
            log,
        )
    run(*_buildah("push", "--quiet", image.name, f"oci-archive:{unfinished}:{image.name}"))
    unfinished.replace(image.archive)
    image.forget_older()


def import_archive(image: Image) -> None:
    """Brings an image that was not built here into buildah's storage."""
    identity = run(*_buildah("pull", "--quiet", f"oci-archive:{image.archive}")).strip().splitlines()[-1]
    run(*_buildah("tag", identity, image.name))


def prune(logs: Iterable[Path]) -> None:
    """Removes the layers of earlier builds, once there are many; those that the builds of these logs used stay."""
    used: set[str] = set()
    for log in logs:
        used.update(found[:_SHORT_ID] for found in _STEP.findall(log.read_text(errors="replace")))
    listed = [line.split() for line in run(*_buildah("images", "--all", "--format={{.ID}} {{.Name}}")).splitlines()]
    old = [identity for identity, name in listed if name == "<none>" and identity[:_SHORT_ID] not in used]
    if len(old) < _MANY:
        return
    with slowly(f"removing {len(old)} layers of earlier builds"):
        for identity in old:  # the newest first, so that none still has children
            with suppress(CommandFailed):
                run(*_buildah("rmi", identity))


def release_mounts() -> None:
    """Unmounts what buildah leaves mounted on its storage."""
    for folder in (_storage(), _RUN_ROOT):
        machine.unmount_below(folder)


def _buildah(command: str, *options: str) -> list[str]:
    return ["buildah", f"--root={_storage()}", f"--runroot={_RUN_ROOT}", command, *options]


def _storage() -> Path:
    return paths.cache() / "buildah"


@contextmanager
def _pip_volumes() -> Iterator[list[str]]:
    """Options that mount this machine's pip settings into each RUN; nothing of them gets into the image."""
    settings = _pip_configuration()
    config = configparser.RawConfigParser()
    config["global"] = {name: settings[name] for name in _PIP_SETTINGS if name in settings}
    volumes = []
    certificates = Path(settings.get("cert", _CERTIFICATES))
    if certificates.exists():
        config["global"]["cert"] = str(_CERTIFICATES)
        volumes.append(f"--volume={certificates.resolve()}:{_CERTIFICATES}:ro")
    wheels = [folder for folder in settings.get("find-links", "").split() if Path(folder).is_dir()]
    if wheels:
        config["global"]["find-links"] = " ".join(wheels)
        volumes += [f"--volume={folder}:{folder}:ro" for folder in wheels]
    with tempfile.NamedTemporaryFile("w", prefix="pip-", suffix=".conf") as file:
        config.write(file)
        file.flush()
        yield [f"--volume={file.name}:/etc/pip.conf:ro", *volumes]


def _pip_configuration() -> Mapping[str, str]:
    """What `pip config list` says here, from files and environment, without the section names."""
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    found: dict[str, str] = {}
    for line in said.splitlines():  # global.index-url='https://…', and :env:.index-url='…', which wins and comes first
        name, _, value = line.partition("=")
        found.setdefault(name.rpartition(".")[2], value.strip("'\""))
    return found
