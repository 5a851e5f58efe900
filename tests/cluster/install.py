"""The operator, from this checkout, on the cluster: images built and loaded, chart installed, pods ready."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

from tests.cluster import bootstrap, diagnostics, lock, node, paths
from tests.cluster.command import run
from tests.cluster.errors import ClusterError, CommandFailed
from tests.cluster.images import loading, project
from tests.cluster.images.store import Image
from tests.cluster.progress import slowly
from tests.cluster.topology import NODES

RELEASE = "resumable"
NAMESPACE = "resumable-system"
_CHART = paths.CHECKOUT / "charts" / "resumable-jobs"
_TIMEOUT = timedelta(seconds=180)


def install() -> None:
    """Builds and loads the images, and installs or upgrades the operator; returns when its pods are ready.

    Raises:
        ClusterError: a build failed, or the operator did not become ready; the message has what its pods said.
    """
    images = project.ensure()
    with lock.held(lock.CHANGING):
        loading.load_everywhere(images)
        operator = images[0]
        tagged = _tag_by_content(operator)
        _tag_as_published(images)
        _make_namespace()
        _clear_unfinished_release()
        with slowly(f"installing the operator as Helm release {RELEASE} in namespace {NAMESPACE}"):
            _apply_changed_definitions()
            _helm_install(tagged)
        _remove_earlier_tags(tagged)


def helm(*arguments: str | Path, timeout: timedelta = timedelta(minutes=5)) -> str:
    """Runs Helm as the cluster's administrator, in the operator's namespace."""
    return run(
        paths.bin_dir() / "helm",
        f"--kubeconfig={paths.ADMIN_KUBECONFIG}",
        f"--namespace={NAMESPACE}",
        *arguments,
        timeout=timeout,
        env=bootstrap.NO_PROXY,
    )


def _helm_install(image: str) -> None:
    repository, _, tag = image.rpartition(":")
    try:
        helm(
            "upgrade",
            "--install",
            RELEASE,
            _CHART,
            "--create-namespace",
            f"--set=image.repository={repository}",
            f"--set-string=image.tag={tag}",
            "--set=image.pullPolicy=Never",
            "--wait",
            f"--timeout={_TIMEOUT.total_seconds():.0f}s",
        )
    except CommandFailed as error:
        report = diagnostics.collect(NAMESPACE)
        raise ClusterError(f"The operator was not installed. {error}\n\n{report.text}\nMore: {report.folder}") from None


def _tag_by_content(image: Image) -> str:
    """Names the image by its content: with a tag that stays the same, Helm would see nothing to roll out."""
    tagged = f"{image.name.rpartition(':')[0]}:{image.key}"
    for layout in NODES:
        node.tag_image(layout, image.name, tagged)
    return tagged


def _remove_earlier_tags(current: str) -> None:
    """Frees the space of what earlier installations ran."""
    earlier = re.compile(rf"{re.escape(current.rpartition(':')[0])}:[0-9a-f]{{{len(current.rpartition(':')[2])}}}")
    for layout in NODES:
        node.remove_images(layout, lambda name: name != current and earlier.fullmatch(name) is not None)


def _tag_as_published(images: list[Image]) -> None:
    """Names the images as the chart and the examples' manifests do: they then work as a user types them."""
    for image in images:
        for published in project.published_names(image):
            for layout in NODES:
                node.tag_image(layout, image.name, published)


def _make_namespace() -> None:
    """The namespace, before Helm makes it: our pods must pass the strictest Pod Security level."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    bootstrap.kubectl("apply", "--server-side", "--filename=-", input=json.dumps(namespace))


def _clear_unfinished_release() -> None:
    """Removes a release whose installation was killed: Helm refuses to upgrade it."""
    releases = json.loads(helm("list", "--pending", "--output=json"))
    if any(release["name"] == RELEASE and release["status"].startswith("pending") for release in releases):
        helm("uninstall", RELEASE, "--no-hooks", "--wait")


def _apply_changed_definitions() -> None:
    """Helm installs a chart's CustomResourceDefinitions the first time, and never touches them again."""
    definitions = _CHART / "crds"
    if bootstrap.kubectl("get", "crds", "--output=name").strip() and definitions.is_dir():
        bootstrap.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={definitions}")
