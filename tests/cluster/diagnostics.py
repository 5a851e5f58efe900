"""What a person wants to see when a test on the cluster failed, gathered before it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.cluster import bootstrap, paths
from tests.cluster.errors import ClusterError

_SYSTEM_NAMESPACE = "resumable-system"
_KINDS = "pods,persistentvolumeclaims,services,deployments,statefulsets,leases"
_CUSTOM_KIND = "resumablejobs.resumable.dev"
_LOG_LINES_SHOWN = 40
_DAEMON_LOG_LINES = 2000


@dataclass(frozen=True)
class Report:
    """What was gathered.

    Attributes:
        text: the part that explains most failures, to be shown at once.
        folder: all of it, as files.
    """

    text: str
    folder: Path


def collect(namespace: str, folder: Path | None = None) -> Report:
    """Gathers objects, descriptions, events and logs of a namespace and of the operator. Never fails.

    Args:
        namespace: the test's namespace.
        folder: where the files go; default: a new temporary folder.
    """
    folder = folder or Path(mkdtemp(prefix="resumable-cluster-report-"))
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    answer = _ask("get", "--raw=/readyz")
    if answer.startswith("("):  # no use in asking more: each question would take its time to fail
        return Report(f"The API server does not answer: {answer}\n{_copy_daemon_logs(folder)}", folder)
    for space in dict.fromkeys((namespace, _SYSTEM_NAMESPACE)):
        for title, text in _of_namespace(space):
            (folder / f"{space}-{title}.txt").write_text(text)
            if title in ("objects", "events") or title.startswith("log-"):
                end = "\n".join(text.splitlines()[-_LOG_LINES_SHOWN:])
                shown.append(f"---- {space}: {title}\n{end}")
    (folder / "nodes.txt").write_text(_ask("describe", "nodes"))
    _copy_daemon_logs(folder)
    return Report("\n".join(shown), folder)


def _copy_daemon_logs(folder: Path) -> str:
    """Copies the end of each daemon's log; returns a sentence on it."""
    logs = sorted(paths.LOGS.glob("*.log")) if paths.LOGS.exists() else []
    for log in logs:
        lines = log.read_text(errors="replace").splitlines()[-_DAEMON_LOG_LINES:]
        (folder / log.name).write_text("\n".join(lines))
    return f"{len(logs)} logs of the cluster's daemons were copied."


def _of_namespace(namespace: str) -> Iterator[tuple[str, str]]:
    here = f"--namespace={namespace}"
    yield "objects", _ask("get", _KINDS, here, "--output=wide")
    yield "events", _ask("get", "events", here, "--sort-by=.metadata.creationTimestamp")
    yield "jobs", _ask("get", _CUSTOM_KIND, here, "--output=yaml")
    yield "jobs-described", _ask("describe", _CUSTOM_KIND, here)
    yield "pods", _ask("get", "pods", here, "--output=yaml")
    yield "pods-described", _ask("describe", "pods", here)
    for pod in _ask("get", "pods", here, "--output=name").split():
        if pod.startswith("pod/"):
            name = pod.removeprefix("pod/")
            yield f"log-{name}", _ask("logs", pod, here, "--all-containers", "--prefix", "--timestamps")
            earlier = _ask("logs", pod, here, "--all-containers", "--prefix", "--timestamps", "--previous")
            if not earlier.startswith("("):
                yield f"earlier-log-{name}", earlier


def _ask(*arguments: str) -> str:
    """Kubectl's answer, or its complaint in brackets: half a report is better than none."""
    try:
        return bootstrap.kubectl(*arguments)
    except ClusterError as error:
        return f"({error})"
