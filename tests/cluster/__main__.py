"""`python -m tests.cluster up|down|status|install|kubeconfig|bin`."""

from __future__ import annotations

import argparse
import sys

from tests.cluster import bootstrap, install, paths, toolchain
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description="The Kubernetes of the tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start the cluster, or repair the one that runs")
    down = commands.add_parser("down", help="stop it, and leave nothing behind")
    down.add_argument("--force", action="store_true", help="even while a test session uses it")
    commands.add_parser("status", help="show nodes and pods")
    commands.add_parser("install", help="build and load the images, and install the operator with Helm")
    commands.add_parser("tools", help="only build the programs (a quarter of an hour when nothing is cached)")
    commands.add_parser("kubeconfig", help="print the kubeconfig's path")
    commands.add_parser("bin", help="print the path of the folder with kubectl and helm")
    chosen = parser.parse_args(arguments)
    try:
        _run(chosen)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(chosen: argparse.Namespace) -> None:
    match chosen.command:
        case "up":
            bootstrap.up()
        case "down":
            bootstrap.down(force=chosen.force)
        case "status":
            print(Cluster.attach().kubectl("get", "nodes,pods", "--all-namespaces", "--output=wide"), end="")
        case "install":
            install.install()
        case "tools":
            toolchain.ensure()
        case "kubeconfig":
            print(paths.ADMIN_KUBECONFIG)
        case "bin":
            print(paths.bin_dir())


if __name__ == "__main__":
    sys.exit(main())
