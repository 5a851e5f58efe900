"""The control groups that hold the nodes' pods, in the old layout (one hierarchy a controller) and the unified one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.cluster.errors import ClusterError

_ROOT = Path("/sys/fs/cgroup")
_UNIFIED_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids", "hugetlb")


def create(name: str) -> None:
    """Makes the group in every hierarchy; a kubelet expects its root to exist and to have the controllers."""
    if is_unified():
        _enable_controllers(_ROOT)
        (_ROOT / name).mkdir(exist_ok=True)
        _enable_controllers(_ROOT / name)
        return
    for hierarchy in _hierarchies("cgroup"):
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in a new cpuset, and then no process may enter
            if (hierarchy / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())


def kill_all(name: str) -> None:
    """Kills every process in the group and below: the containers of a node, whatever became of their containerd."""
    deadline = time.monotonic() + 10
    while pids := {pid for group in _groups(name) for pid in _processes(group)}:
        if time.monotonic() > deadline:
            raise ClusterError(f"Processes in the control group {name} outlived SIGKILL: {sorted(pids)}.")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def remove(name: str) -> None:
    """Removes the group, with all below it, from every hierarchy."""
    for group in _groups(name):
        # A group is busy for some milliseconds after its last process: only a directory that stays is an error.
        deadline = time.monotonic() + 5
        while group.exists():
            for folder in reversed(_tree(group)):
                with suppress(OSError):
                    folder.rmdir()
            if time.monotonic() > deadline:
                raise ClusterError(f"The control group {group} can't be removed: is a process still in it?")
            time.sleep(0.02)


def remains(name: str) -> list[Path]:
    """Where the group still exists."""
    return list(_groups(name))


def processes_of_pod(uid: str) -> list[int]:
    """The processes of the pod with this UID, as the host sees them; also of a pod that is no object any more."""
    wanted = (f"pod{uid}", f"pod{uid.replace('-', '_')}")  # the second as systemd's slices write it
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if any(mark in (entry / "cgroup").read_text() for mark in wanted):
                    found.append(int(entry.name))
    return sorted(found)


def is_unified() -> bool:
    """Whether this machine has the unified layout (cgroup v2) alone."""
    return (_ROOT / "cgroup.controllers").exists()


def _groups(name: str) -> Iterator[Path]:
    for hierarchy in _hierarchies("cgroup", "cgroup2"):
        if (hierarchy / name).exists():
            yield hierarchy / name


def _hierarchies(*types: str) -> list[Path]:
    """The mount points of these file systems. In the old layout runc uses a unified one beside the others, if any."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where, _, what = line.partition(" - ")
        if what.split()[0] in types:
            found.append(Path(where.split()[4]))
    return sorted(set(found))


def _processes(group: Path) -> Iterator[int]:
    for folder in _tree(group):
        with suppress(OSError):
            yield from (int(pid) for pid in (folder / "cgroup.procs").read_text().split())


def _tree(group: Path) -> list[Path]:
    """The group and all below it, parents first; `os.walk`, unlike `rglob`, bears that groups go away meanwhile."""
    return [Path(folder) for folder, _, _ in os.walk(group)]


def _enable_controllers(group: Path) -> None:
    available = (group / "cgroup.controllers").read_text().split()
    wanted = [controller for controller in _UNIFIED_CONTROLLERS if controller in available]
    try:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in wanted))
    except OSError as error:
        raise ClusterError(
            f"The controllers {', '.join(wanted)} can't be enabled in {group} ({error.strerror}). The test cluster "
            "needs a machine of its own, or a container that may change its root control group."
        ) from None
