"""The programs that come from Debian: named when they are missing, and installed where that is allowed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import paths
from tests.cluster.command import run_logged
from tests.cluster.errors import ClusterError
from tests.cluster.progress import slowly

CNI_PLUGINS = Path("/usr/lib/cni")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # not in every user's PATH; iptables and ip live there


@dataclass(frozen=True)
class Program:
    """A program, and the package of Debian and Ubuntu that brings it."""

    name: str
    package: str

    @property
    def installed(self) -> bool:
        return shutil.which(self.name, path=f"{os.environ.get('PATH', '')}:{_SBIN}:{CNI_PLUGINS}") is not None


PROGRAMS = (
    Program("runc", "runc"),
    Program("ptp", "containernetworking-plugins"),
    Program("iptables", "iptables"),
    Program("ip", "iproute2"),
    Program("umount", "mount"),
    Program("buildah", "buildah"),
    Program("mmdebstrap", "mmdebstrap"),
)


def ensure() -> None:
    """Makes sure that every program is there, by `apt-get install` when this is root on Debian or Ubuntu.

    Raises:
        ClusterError: something is missing and can't be installed from here; the message has the command to run.
    """
    require_root()
    missing = sorted({program.package for program in PROGRAMS if not program.installed})
    if not missing:
        return
    command = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(missing)}"
    if shutil.which("apt-get") is None:
        raise ClusterError(
            f"These Debian packages are missing: {', '.join(missing)}. This is neither Debian nor Ubuntu; install what "
            "they hold with this system's package manager."
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with slowly(f"installing Debian packages: {' '.join(missing)}"):
        run_logged(["sh", "-c", command], paths.cache() / "log" / "apt.log", env=quiet)
    if still_missing := sorted(program.name for program in PROGRAMS if not program.installed):
        raise ClusterError(f"After `{command}` these programs are still not found: {', '.join(still_missing)}.")


def require_root() -> None:
    """Raises a ClusterError when this is not root."""
    if os.geteuid() != 0:
        raise ClusterError(
            "The test cluster needs root: it mounts file systems, makes network namespaces and control groups. "
            "Run the same command with sudo."
        )


def search_path() -> str:
    """PATH for the cluster's own processes: its tools first, and the folders with iptables and runc."""
    return f"{paths.bin_dir()}:{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"
