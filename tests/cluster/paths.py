"""Where things are: the checkout, the build cache, and the one running cluster of this machine."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
TOOL_MODULES = Path(__file__).resolve().parent / "tools"

# Ports, node addresses and cgroups are the machine's, so there is one cluster a machine, whatever the checkout or the
# cache folder. Its folder is short because socket paths end at 108 bytes.
RUN = Path("/var/lib/resumable-test-cluster")
ADMIN_KUBECONFIG = RUN / "admin.kubeconfig"
LOGS = RUN / "log"

# Locks outlive the run folder, which `down` removes: whoever waits must wait for the same file.
LOCKS = Path("/run/lock")


def cache() -> Path:
    """The folder for what is worth keeping between runs: tools, images, Go's own toolchain."""
    if configured := os.environ.get("RESUMABLE_CACHE_DIR"):
        return Path(configured).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "resumable-jobs"


def bin_dir() -> Path:
    """The folder with kubectl, helm, kwok and the cluster's own programs."""
    return cache() / "bin"
